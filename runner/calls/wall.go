package calls

import "time"

// wallStep is by how much the two clocks may differ from when they were last compared: below it, the same moment is always
// written alike; above it, somebody has set the wall clock, or the machine slept.
const wallStep = time.Millisecond

// wall turns the kernel's times into those of the wall clock.
type wall struct {
	monotonic func() uint64
	now       func() time.Time
	origin    time.Time // when the monotonic clock was 0
}

// compare looks at both clocks. It is to be called before times are turned.
func (w *wall) compare() {
	origin := w.now().Round(0).Add(-time.Duration(w.monotonic()))
	if d := origin.Sub(w.origin); w.origin.IsZero() || d > wallStep || d < -wallStep {
		w.origin = origin
	}
}

// timeFormat is RFC 3339 with microseconds.
const timeFormat = "2006-01-02T15:04:05.000000Z07:00"

// text returns a moment of CLOCK_MONOTONIC nanoseconds, UTC.
func (w *wall) text(ns uint64) string {
	return w.origin.Add(time.Duration(ns)).UTC().Format(timeFormat)
}
