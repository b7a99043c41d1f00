package correlator

import "sync/atomic"

// counters are what a correlator counts.
type counters struct {
	finished, cut, crowded, lateBytes atomic.Uint64
}

// Counters are what a correlator has counted since its start.
type Counters struct {
	Finished  uint64 // calls that have a record
	Cut       uint64 // of those, calls whose end was not seen
	Crowded   uint64 // calls without a record, because too many shared their exchanges
	LateBytes uint64 // payload that came after its call's record was closed as silent, and is in none
}

// Counters returns the counts.
func (c *Correlator) Counters() Counters {
	return Counters{c.counters.finished.Load(), c.counters.cut.Load(), c.counters.crowded.Load(), c.counters.lateBytes.Load()}
}
