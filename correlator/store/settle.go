package store

import "time"

// outcome is what became of a write that was sent.
type outcome uint8

const (
	arrived  outcome = iota
	notNow           // tried again
	refused          // never will be
	unspoken         // tried again with all others: nothing is known of it
)

// settle takes what arrived and what was refused out of the queue. A write whose value was replaced meanwhile stays, for the new value.
func (q *queue) settle(now time.Time, batch []sending, outcomes []outcome, delay func(tries int) time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	defer q.gauge()
	for i, s := range batch {
		w := s.of.Value.(*write)
		switch outcomes[i] {
		case arrived:
			q.meter.sent.Add(1)
		case refused:
			q.meter.refused[s.kind].Add(1)
		case notNow:
			q.meter.retried.Add(1)
			if !w.gone {
				q.later.add(s.of, now, delay)
			}
			continue
		case unspoken:
			q.meter.retried.Add(1)
			continue
		}
		if !w.gone && w.version == s.version {
			q.remove(s.of)
		}
	}
	if q.later.last == nil {
		q.later.tries = 0
	}
}
