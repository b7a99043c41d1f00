package store

import (
	"container/list"
	"time"
)

// deferral is which writes of a queue were answered with "not now". They are its oldest: the others go on meanwhile, what is published
// before all, and then all is tried from the start.
type deferral struct {
	last  *list.Element // the youngest of them; nil: there are none
	tries int           // rounds in a row that had some
	began time.Time     // when the first of this round was put off
	due   time.Time
}

// first returns the oldest write that may be sent now.
func (d *deferral) first(order *list.List, now time.Time) *list.Element {
	if d.last != nil && now.Before(d.due) {
		return d.last.Next()
	}
	d.last = nil
	return order.Front()
}

// wait is how long the writes that were put off have to wait; 0 if there are none.
func (d *deferral) wait(now time.Time) time.Duration {
	if d.last == nil {
		return 0
	}
	return max(d.due.Sub(now), 1)
}

// add puts a write off that is younger than those that were. All wait from the last one on, so that each gets its turn, and at most
// so long that a steady stream of others does not hold them up for ever.
func (d *deferral) add(e *list.Element, now time.Time, delay func(tries int) time.Duration) {
	if d.last == nil {
		d.tries++
		d.began = now
	}
	d.last = e
	d.due = now.Add(delay(d.tries))
	if most := d.began.Add(2 * maxBackoff); d.due.After(most) {
		d.due = most
	}
}

// forget is told of each write that leaves the queue.
func (d *deferral) forget(e *list.Element) {
	if e == d.last {
		d.last = e.Prev()
	}
}
