// Package signal says what is not normal about a call, a source address or a listener: facts with a strength, and one score
// of them. It is pure: figures in, facts out.
package signal

import "strings"

// Signal names one thing that is not normal.
type Signal uint8

// The signals, in the order in which headers and logs name them.
const (
	// Retransmit is the first of those on the call.
	Retransmit Signal = iota
	OutOfOrder
	SlowRequest
	TinySegments
	Size
	Wait
	RTT
	ZeroWindow
	TTLShift
	NotHTTP
	// HalfOpen is the first of those on the source.
	HalfOpen
	SlowHeaders
	PortScan
	ConnectionRate
	RequestRate
	Malformed
	// SYNFlood is the first of those on the listener, because a spoofed packet has no source.
	SYNFlood
	Reflection
	Volume
	// Signals is how many there are.
	Signals
)

// names are the signals' names as headers, logs and settings have them.
func names() *[Signals]string {
	return &[Signals]string{
		Retransmit: "retransmit", OutOfOrder: "out-of-order", SlowRequest: "slow-request", TinySegments: "tiny-segments",
		Size: "size", Wait: "wait", RTT: "rtt", ZeroWindow: "zero-window", TTLShift: "ttl-shift", NotHTTP: "not-http",
		HalfOpen: "half-open", SlowHeaders: "slow-headers", PortScan: "port-scan", ConnectionRate: "connection-rate",
		RequestRate: "request-rate", Malformed: "malformed",
		SYNFlood: "syn-flood", Reflection: "reflection", Volume: "volume",
	}
}

// String returns the signal's name.
func (s Signal) String() string {
	if s >= Signals {
		return "unknown"
	}
	return names()[s]
}

// Parse returns the signal of a name, and false if there is none.
func Parse(name string) (Signal, bool) {
	for s, n := range names() {
		if n == name {
			return Signal(s), true
		}
	}
	return Signals, false
}

// Set is a set of signals, a bit each.
type Set uint32

// All has every signal.
const All Set = 1<<Signals - 1

// Learned has the signals that a baseline is asked for.
const Learned Set = 1<<SlowRequest | 1<<Size | 1<<Wait | 1<<RTT

// Of returns the set of some signals.
func Of(signals ...Signal) (set Set) {
	for _, s := range signals {
		set |= 1 << s
	}
	return set
}

// Has says whether a signal is in the set.
func (set Set) Has(s Signal) bool { return set>>s&1 != 0 }

// Each yields the signals that are in the set, in their order: an iter.Seq.
func (set Set) Each(yield func(Signal) bool) {
	for s := range Signals {
		if set.Has(s) && !yield(s) {
			return
		}
	}
}

// String returns the names, separated by spaces.
func (set Set) String() string {
	var text strings.Builder
	for s := range set.Each {
		if text.Len() > 0 {
			text.WriteByte(' ')
		}
		text.WriteString(s.String())
	}
	return text.String()
}
