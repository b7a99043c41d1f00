package signal

import (
	"math"

	"fivetuple/correlator/baseline"
)

// beyond says how far a value is above what is usual for a call of its kind, from 0 at `from` times the 99th percentile to 1
// at `to` times, by its logarithm. What is usual counts as at least the floor, below which nobody cares.
func (c *Call) beyond(q baseline.Quantity, value uint64, floor, from, to float64) float64 {
	p99 := c.Usual.Quantities[q].P99
	if !c.Usual.Ready || p99 == 0 || value == 0 {
		return 0
	}
	times := float64(value) / max(p99, floor)
	if times <= from {
		return 0 // as most
	}
	return ramp(math.Log2(times), math.Log2(from), math.Log2(to))
}

// size tells a request with far more IP bytes than is usual: from twice the 99th percentile on, to 16 times. Large uploads
// are somebody's honest work: weak.
func size(c *Call) float64 {
	return weakSize * c.beyond(baseline.Size, c.Request.Bytes, 4096, 2, 16)
}

// wait tells a call that lay in the gateway for long: it says more of the gateway than of the client.
func wait(c *Call) float64 {
	return weakWait * c.beyond(baseline.Wait, c.Wait, 10_000, 4, 32)
}

// rtt tells a round trip (RFC 6298, smoothed) far above what is usual: a client somewhere else, behind a satellite, or in a
// tunnel.
func rtt(c *Call) float64 {
	return weakRTT * c.beyond(baseline.RTT, c.RTT, 20_000, 2, 8)
}
