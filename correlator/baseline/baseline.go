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
	RTT                        // microseconds; 0: not known
	Response                   // microseconds from the plugin to the last packet of the response
	Quantities                 // how many there are
)

// String returns the quantity's name in the log.
func (q Quantity) String() string {
	names := [Quantities]string{Size: "size", Receive: "receive", Wait: "wait", RTT: "rtt", Response: "response"}
	if q >= Quantities {
		return "unknown"
	}
	return names[q]
}

// Range is what is usual for one quantity. The zero Range: not known, too few calls had it. A known P99 is at least 1.
type Range struct {
	P50, P99 float64
}

// Usual is what is normal for a key's calls, as it was learned until the last rotation. It never changes.
type Usual struct {
	Ready      bool   // enough calls were learned for a verdict
	Calls      uint64 // their weight in all windows: less than their number where one source made more than its share
	Quantities [Quantities]Range
	Rate       Range // calls per second, idle seconds included
}

// Observation is one finished call.
type Observation struct {
	Source   [16]byte            // the peer's address, IPv4 v4-mapped; of IPv6 the first 64 bits count
	Values   [Quantities]float64 // NaN or below 0: not known
	Abnormal bool                // it was flagged, or beyond what is usual
}
