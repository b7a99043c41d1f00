package metrics

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"fivetuple/correlator"
)

const (
	// provenCalls is how many calls make a set of labels proven: newer sets take its place only when it has been idle.
	provenCalls = 10
	// provenIdle is how long a proven set must have had no call to be evicted.
	provenIdle = time.Minute
)

// labels are the values of route, service and consumer.
type labels [3]string

// allSeries holds so many sets of labels. When there are too many, a new set takes the place of the one that had its last call longest ago
// of those with few calls; if no set has few calls, of one that has been idle. If no set is idle, calls are counted under _other.
// So neither many new sets nor many that had a few calls once take the series of those in use.
type allSeries struct {
	max    int
	now    func() time.Time
	make   func(labels) *series
	remove func(labels)

	young, proven *simplelru.LRU[labels, *series]
	other         *series
	beyond        atomic.Uint64 // calls under _other
	evicted       atomic.Uint64 // sets
	sets          atomic.Int64
}

func newAllSeries(most int, make func(labels) *series, remove func(labels)) *allSeries {
	a := &allSeries{max: most, now: time.Now, make: make, remove: remove}
	a.young, _ = simplelru.NewLRU[labels, *series](math.MaxInt, nil) // the size is valid
	a.proven, _ = simplelru.NewLRU[labels, *series](math.MaxInt, nil)
	return a
}

// get returns the figures of a route.
func (a *allSeries) get(route correlator.Route) *series {
	of := labels{label(route.String()), label(route.Service), label(route.Consumer)}
	now := a.now()
	if s, ok := a.proven.Get(of); ok {
		s.last = now
		return s
	}
	s, ok := a.young.Get(of)
	if !ok {
		if !a.hasRoom(now) {
			a.beyond.Add(1)
			if a.other == nil {
				a.other = a.make(labels{otherLabel, otherLabel, otherLabel})
			}
			return a.other
		}
		s = a.make(of)
		a.young.Add(of, s)
		a.sets.Add(1)
	}
	s.last = now
	if s.taken++; s.taken == provenCalls {
		a.young.Remove(of)
		a.proven.Add(of, s)
	}
	return s
}

// hasRoom reports whether there is room for a new set; it evicts another one if it has to, and may.
func (a *allSeries) hasRoom(now time.Time) bool {
	if a.young.Len()+a.proven.Len() < a.max {
		return true
	}
	of, _, ok := a.young.RemoveOldest()
	if !ok {
		var s *series
		if of, s, ok = a.proven.GetOldest(); !ok || now.Sub(s.last) < provenIdle {
			return false
		}
		a.proven.Remove(of)
	}
	a.remove(of)
	a.evicted.Add(1)
	a.sets.Add(-1)
	return true
}
