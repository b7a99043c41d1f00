package correlator

import (
	"math"

	"fivetuple/correlator/baseline"
	"fivetuple/correlator/flow"
	"fivetuple/correlator/signal"
)

// scratch is what a judgement works with, under a shard's lock: what is handed to an interface would be allocated.
type scratch struct {
	call signal.Call
	seen baseline.Observation
}

// judged returns what is known of a call by its connection and the gateway.
func (conn *connection) judged(call *Call, usual *baseline.Usual) signal.Call {
	return signal.Call{
		Head: call.RequestLength, First: conn.first, TTL: conn.ttl, TTLBefore: conn.ttlBefore,
		HTTP2: conn.http2, Stream: call.Chunked || call.Upgrade, Usual: usual,
	}
}

// judgedRequest returns what a request's segments tell. What was sent again is told by its bytes, payload against sequence
// numbers, and is at most what the connection counted: keep-alives with a byte of garbage are none. What came late was
// counted since the look before; some of it may be the call's before.
func judgedRequest(s *flow.Span, retransmitted, outOfOrder uint32) signal.Traffic {
	t := signal.Traffic{Packets: s.Packets, Payload: s.Payload, OutOfOrder: min(outOfOrder, s.Packets)}
	again := int32(uint32(s.Payload) - s.Length) // below 0 where some of it was not seen
	if again > 0 {
		t.Retransmitted = min(uint32(uint64(again)*uint64(s.Packets)/s.Payload), retransmitted)
	}
	return t
}

// observed returns the time between two moments in microseconds; NaN if one was not seen.
func observed(from, to uint64) float64 {
	if from == 0 || to == 0 {
		return math.NaN()
	}
	return float64(microseconds(from, to))
}

// roundTrip returns the smoothed one, or the handshake's before there is one.
func roundTrip(t *RTT) uint64 {
	if t.Now != 0 {
		return uint64(t.Now)
	}
	return t.Handshake
}
