package baseline

import "sync/atomic"

// Counters are what has been counted since the start, and how much there is now.
type Counters struct {
	Keys  int // with a baseline of their own
	Ready int // of them, with a verdict

	Learned  uint64 // calls
	Abnormal uint64 // calls that were not normal, and so taught nothing
	Capped   uint64 // calls that taught nothing, because their source had its share
	Shared   uint64 // calls of keys beyond the bound, which share one baseline
	Evicted  uint64 // keys that made room
	Windows  uint64 // closed
	Thin     uint64 // windows that taught nothing, because what was not abnormal was too little
	Shifts   uint64 // baselines that were replaced
	Saves    uint64 // by Save, as a whole

	Published   uint64 // windows, for other gateways
	Unpublished uint64 // windows that nobody fetched by Published in time
	Merged      uint64 // windows of other gateways that were taken
}

type counters struct {
	learned, abnormal, capped, shared, evicted, windows, thin, shifts, saves atomic.Uint64
	published, unpublished, merged                                           atomic.Uint64
}

// Counters returns the counters.
func (b *Baselines) Counters() Counters {
	c := Counters{
		Learned: b.counters.learned.Load(), Abnormal: b.counters.abnormal.Load(), Capped: b.counters.capped.Load(),
		Shared: b.counters.shared.Load(), Evicted: b.counters.evicted.Load(), Windows: b.counters.windows.Load(),
		Thin: b.counters.thin.Load(), Shifts: b.counters.shifts.Load(),
		Saves: b.counters.saves.Load(), Published: b.counters.published.Load(), Unpublished: b.counters.unpublished.Load(),
		Merged: b.counters.merged.Load(),
	}
	for _, e := range b.published.Load().keys {
		c.Keys++
		if e.usual.Load().Ready {
			c.Ready++
		}
	}
	return c
}
