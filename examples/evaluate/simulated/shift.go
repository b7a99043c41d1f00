package simulated

import (
	"time"

	"fivetuple/correlator"
	"fivetuple/examples/evaluate/outcome"
)

// Shift lets all meters change what they do, for good: a new firmware writes the report in pieces, over half a minute, which is
// as slow as an attack. The figure is for how many minutes that was flagged.
func Shift(settings Settings, seed uint64) (outcome.Learning, error) {
	return learn(settings, seed, func(w *world) outcome.Learning {
		m := w.meters(honestMeters, w.report)
		var flags, calls, last uint64
		w.ended = func(r *correlator.CallRecord) {
			calls++
			if r.Flagged {
				flags++
				last = w.now
			}
		}
		o := settings.Baseline
		w.run(12 * time.Hour)
		before := flags
		begin := w.now
		flags, calls, last = 0, 0, w.now
		m.next = func() *call {
			a := w.report()
			a.pace, a.piece = 2500*time.Millisecond, a.body/12+1
			return a
		}
		w.run(8 * time.Hour)
		return outcome.Learning{
			Name: "legitimate shift", Quantity: "minutes with alarms",
			Figure: float64(last-begin) / float64(time.Minute),
			// The window in which it begins may be mostly of before, and a report takes half a minute, and its record some more.
			Bound: (time.Duration(o.ShiftWindows+1)*o.Window + time.Minute).Minutes(),
			What:  "60 meters; from one moment on their reports come in 12 pieces over 30 s, as in an attack",
			Details: map[string]float64{
				"flags_before": float64(before), "flags": float64(flags), "calls_after": float64(calls),
			},
		}
	})
}
