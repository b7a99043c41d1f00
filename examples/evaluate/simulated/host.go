package simulated

import (
	"encoding/binary"
	"math"
	"time"
)

// host is one address that calls, and the road to it.
type host struct {
	w       *world
	address [16]byte
	port    *uint16 // of the address' last connection
	ttl     uint8
	tls     bool
	rtt     time.Duration // the shortest
	jitter  time.Duration // what queues add in the mean
	loss    float64
	rate    float64 // bytes a second
}

// road is what lies between a kind of hosts and the gateway.
type road struct {
	rtt    time.Duration // median
	spread float64       // of its logarithm, among hosts
	jitter float64       // as a share of the round trip
	loss   float64       // of packets, each way
	rate   float64       // bytes a second, median
}

// Roads, by what networks of the kind measure.
func office() road { return road{15 * time.Millisecond, 0.5, 0.1, 0.0005, 12e6} }
func home() road   { return road{35 * time.Millisecond, 0.5, 0.2, 0.002, 4e6} }
func mobile() road { return road{600 * time.Millisecond, 0.2, 0.25, 0.02, 250e3} }
func local() road  { return road{300 * time.Microsecond, 0.3, 0.2, 0, 100e6} }

// newHost returns a host with an address of its own.
func (w *world) newHost(r road) *host {
	w.hosts++
	rtt := time.Duration(w.lognormal(float64(r.rtt), r.spread))
	h := &host{
		w: w, address: address(w.hosts), port: new(uint16), tls: w.random.IntN(10) < 6,
		rtt: rtt, jitter: time.Duration(r.jitter * float64(rtt)), loss: r.loss, rate: w.lognormal(r.rate, 0.5),
	}
	*h.port = uint16(20000 + w.random.IntN(20000))
	h.ttl = [...]uint8{64, 128}[w.random.IntN(2)] - uint8(5+w.random.IntN(12))
	return h
}

// behind returns a host behind another one's address, on a road of its own.
func (w *world) behind(one *host, r road) *host {
	h := w.newHost(r)
	h.address, h.port = one.address, one.port
	w.hosts--
	return h
}

// address returns the n-th address of clients, v4-mapped.
func address(n int) (a [16]byte) {
	a[10], a[11] = 0xff, 0xff
	binary.BigEndian.PutUint32(a[12:], 10<<24|uint32(n))
	return a
}

func gatewayAddress() [16]byte { return address(1 << 23) }

// trip is how long a round trip takes now.
func (h *host) trip() time.Duration {
	return h.rtt + time.Duration(h.w.random.ExpFloat64()*float64(h.jitter))
}

// timeout is after what time a segment is sent again that nothing showed to be lost (RFC 6298; Linux: at least 200 ms more).
func (h *host) timeout() time.Duration {
	return h.rtt + max(200*time.Millisecond, 4*h.jitter) + h.trip()/2
}

// lognormal draws a value of which half are below the median.
func (w *world) lognormal(median, spread float64) float64 {
	return median * math.Exp(spread*w.random.NormFloat64())
}

// size draws a length in bytes, within bounds.
func (w *world) size(median, spread float64, low, high int) int {
	return min(max(int(w.lognormal(median, spread)), low), high)
}

// pause draws a time of which the mean is given, exponentially.
func (w *world) pause(mean time.Duration) time.Duration {
	return time.Duration(w.random.ExpFloat64() * float64(mean))
}
