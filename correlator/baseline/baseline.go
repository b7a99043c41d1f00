// Package baseline learns what is normal for the calls of a route and a method. It is pure: times are arguments,
// CLOCK_MONOTONIC nanoseconds, and it touches no file by itself.
package baseline

// Key names what a baseline is for. It has no version and no consumer: a reload of the gateway changes the one, and the
// other would leave most baselines without enough calls.
type Key struct {
	Route  string // route id; "" for a global rule
	Method string
}

// Quantity is what is learned of a call.
type Quantity uint8

// The quantities.
const (
	Size       Quantity = iota // IP bytes of the request
	Receive                    // microseconds from its first to its last packet
	Wait                       // microseconds from there to the plugin
	RTT                        // microseconds
	Response                   // microseconds from the plugin to the last packet of the response
	Quantities                 // how many there are
)

// Range is what is usual for one quantity.
type Range struct {
	P50, P99 float64
}

// Usual is what is normal for a key's calls, as it was learned until the last rotation. It never changes.
type Usual struct {
	Ready      bool   // enough calls were learned for a verdict
	Calls      uint64 // learned, in all windows
	Quantities [Quantities]Range
	Rate       Range // calls per second
}

// Observation is one finished call.
type Observation struct {
	Source   [16]byte // the peer's address, IPv4 v4-mapped
	Values   [Quantities]float64
	Abnormal bool // it was flagged
}
