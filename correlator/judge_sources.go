package correlator

import (
	"sync/atomic"

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
}

// SourceList is a snapshot of the addresses that something is held against. The zero value is empty. Whoever replaces it
// bounds it.
type SourceList struct {
	list atomic.Pointer[map[[16]byte]SourceVerdict]
}

// Replace takes a new snapshot in place of the old one. It must not be changed any more.
func (l *SourceList) Replace(list map[[16]byte]SourceVerdict) { l.list.Store(&list) }

// Verdict implements Sources.
func (l *SourceList) Verdict(address [16]byte, now uint64) (signal.Verdict, bool) {
	list := l.list.Load()
	if list == nil {
		return signal.Verdict{}, false
	}
	v, ok := (*list)[address]
	return v.Verdict, ok && now < v.Until
}

var _ Sources = (*SourceList)(nil)
