package correlator

import (
	"sync/atomic"

	"fivetuple/correlator/flow"
	"fivetuple/correlator/signal"
)

// Sources says what is not normal about an address: the TCP peer's, IPv4 v4-mapped. It is asked on the request path.
type Sources interface {
	Verdict(address [16]byte, now uint64) (signal.Verdict, bool)
}

// SourceVerdict is what is held against an address until a moment, CLOCK_MONOTONIC nanoseconds.
type SourceVerdict struct {
	signal.Verdict
	Until uint64
	// Origin is flow.OriginFleet for what other gateways hold.
	Origin uint8
	// Observed: it is counted whom it would concern, and it concerns nobody.
	Observed bool
}

// SourceList is a snapshot of the addresses that something is held against. The zero value is empty. Whoever replaces it
// bounds it.
type SourceList struct {
	list            atomic.Pointer[map[[16]byte]SourceVerdict]
	fleet, observed atomic.Uint64
}

// SourceCounts are the calls that a word of other gateways was about.
type SourceCounts struct {
	Fleet    uint64 // it was held against them
	Observed uint64 // it would have been
}

// Replace takes a new snapshot in place of the old one. It must not be changed any more.
func (l *SourceList) Replace(list map[[16]byte]SourceVerdict) { l.list.Store(&list) }

// Counts returns the counts since the start.
func (l *SourceList) Counts() SourceCounts { return SourceCounts{l.fleet.Load(), l.observed.Load()} }

// Verdict implements Sources.
func (l *SourceList) Verdict(address [16]byte, now uint64) (signal.Verdict, bool) {
	list := l.list.Load()
	if list == nil {
		return signal.Verdict{}, false
	}
	v, ok := (*list)[address]
	switch {
	case !ok || now >= v.Until:
		return signal.Verdict{}, false
	case v.Observed:
		l.observed.Add(1)
		return signal.Verdict{}, false
	case v.Origin == flow.OriginFleet:
		l.fleet.Add(1)
	}
	return v.Verdict, true
}

var _ Sources = (*SourceList)(nil)
