package watch

import "time"

// turn is one reading of a whole table, which may take several ticks.
type turn struct {
	number uint32
	before uint64 // when the turn before began
	began  uint64 // 0: none has
	done   bool   // the table's end was reached at this tick
}

// start begins the first turn.
func (t *turn) start(now uint64) {
	if t.began == 0 {
		t.began = now
	}
}

// next begins the next turn, if this one is done.
func (t *turn) next(now uint64) {
	if t.done {
		*t = turn{number: t.number + 1, before: t.began, began: now}
	}
}

// seconds returns a time in seconds.
func seconds(ns uint64) float64 { return float64(ns) / float64(time.Second) }

// ago returns the time of that long ago; 0 if there was none.
func ago(now uint64, age time.Duration) uint64 {
	if now < uint64(age) {
		return 0
	}
	return now - uint64(age)
}
