package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"fivetuple/correlator/store"
)

// RegisterRedis registers what goes to Redis and comes from there.
func RegisterRedis(registry prometheus.Registerer, counts func() store.Counts) {
	for _, c := range []struct {
		name, help string
		count      func(store.Counts) uint64
	}{
		{"redis_writes_sent_total", "Writes that arrived.", func(c store.Counts) uint64 { return c.Sent }},
		{"redis_writes_replaced_total", "Writes that a later one of the same made pointless.", func(c store.Counts) uint64 { return c.Replaced }},
		{"redis_writes_dropped_total", "Writes that were lost, because the queue was full.", func(c store.Counts) uint64 { return c.Dropped }},
		{"redis_writes_expired_total", "Writes that lived out while they waited.", func(c store.Counts) uint64 { return c.Expired }},
		{"redis_writes_retried_total", "Times that a write had to be sent again.", func(c store.Counts) uint64 { return c.Retried }},
		{"redis_values_read_total", "Values that were read.", func(c store.Counts) uint64 { return c.Read }},
		{"redis_messages_heard_total", "Messages of other gateways.", func(c store.Counts) uint64 { return c.Heard }},
		{"redis_messages_dropped_total", "Messages of other gateways for which there was no room; what they said is read anew.", func(c store.Counts) uint64 { return c.Unheard }},
		{"redis_subscriptions_total", "Times that the subscription began.", func(c store.Counts) uint64 { return c.Connected }},
		{"redis_state_lost_total", "Times that Redis may have lost what was written, so that all of it was written anew.", func(c store.Counts) uint64 { return c.Lost }},
		{"redis_commands_total", "Commands sent to Redis, but for subscribing.", func(c store.Counts) uint64 { return c.Commands }},
		{"redis_sent_bytes_total", "Bytes sent to Redis, without TLS' own.", func(c store.Counts) uint64 { return c.BytesSent }},
		{"redis_received_bytes_total", "Bytes received from Redis, without TLS' own.", func(c store.Counts) uint64 { return c.BytesReceived }},
		{"redis_connections_total", "Connections to Redis that were made.", func(c store.Counts) uint64 { return c.Dialled }},
		{"redis_replies_rejected_total", "Replies beyond the bounds, or that are not RESP; each ends its connection.", func(c store.Counts) uint64 { return c.Rejected }},
		{"redis_panics_total", "Panics in the course of a command, or of a part that talks to Redis, that were caught.", func(c store.Counts) uint64 { return c.Panics }},
		{"redis_clock_steps_total", "Times that Redis' clock was not where it should be.", func(c store.Counts) uint64 { return c.ClockSteps }},
		{"fleet_namesakes_total", "Times that another gateway began to use this one's name.", func(c store.Counts) uint64 { return c.Namesakes }},
	} {
		registry.MustRegister(counterFunc(c.name, c.help, nil, func() uint64 { return c.count(counts()) }))
	}
	for kind := range store.Kinds {
		registry.MustRegister(counterFunc("redis_writes_refused_total", "Writes that will never be taken: no permission, a key of another type, too large.",
			prometheus.Labels{"command": kind.String()}, func() uint64 { return counts().Refused[kind] }))
	}
	for why := range store.Skips {
		registry.MustRegister(counterFunc("redis_values_skipped_total", "Values of other gateways that are not used: too large, of a foreign type or name, of an unknown version, damaged; baselines' windows of another length, or too thin.",
			prometheus.Labels{"reason": why.String()}, func() uint64 { return counts().Skipped[why] }))
	}
	for _, g := range []struct {
		name, help string
		value      func(store.Counts) float64
	}{
		{"redis_up", "1 if the last command was answered.", func(c store.Counts) float64 { return oneIf(c.Up) }},
		{"redis_writes_waiting", "Writes in the queue.", func(c store.Counts) float64 { return float64(c.Waiting) }},
		{"redis_writes_waiting_bytes", "Bytes in the queue.", func(c store.Counts) float64 { return float64(c.WaitingBytes) }},
		{"redis_clock_known", "1 if Redis has told its time.", func(c store.Counts) float64 { return oneIf(c.ClockKnown) }},
		{"redis_clock_offset_seconds", "What Redis' clock is ahead of this host's.", func(c store.Counts) float64 { return c.ClockOffset.Seconds() }},
		{"redis_clock_error_seconds", "What the offset may be wrong by.", func(c store.Counts) float64 { return c.ClockError.Seconds() }},
		{"fleet_gateways", "Gateways of the fleet, when last looked.", func(c store.Counts) float64 { return float64(c.Gateways) }},
		{"fleet_gateways_left_out", "Names on the list of gateways that were left out, when last looked.", func(c store.Counts) float64 { return float64(c.LeftOut) }},
		{"fleet_namesake", "1 if another gateway uses this one's name.", func(c store.Counts) float64 { return oneIf(c.NamesakeThere) }},
	} {
		registry.MustRegister(gaugeFunc(g.name, g.help, nil, func() float64 { return g.value(counts()) }))
	}
}

func oneIf(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
