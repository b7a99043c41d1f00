package simulated

import (
	"errors"
	"time"

	"fivetuple/correlator"
	"fivetuple/correlator/baseline"
	"fivetuple/correlator/flow"
	"fivetuple/correlator/signal"
	"fivetuple/correlator/watch"
	"fivetuple/examples/evaluate/outcome"
)

// look is what agent and runner do once a second.
func (w *world) look() {
	report, err := w.watcher.Tick(w.now, w)
	w.err = errors.Join(w.err, err)
	w.apply(report.Changes)
	w.hand()
	w.note(report)
	w.cor.Sweep(w.now)
	w.baselines.Rotate(w.now)
	w.fixed.Tick(w.now)
	if second := (w.now - w.start) / uint64(time.Second); second%uint64(sweepEvery/time.Second) == 0 {
		w.sweep(w.now)
	}
	w.after(time.Second, w.look)
}

// hand hands the verdicts on addresses to the judge.
func (w *world) hand() {
	list := make(map[[16]byte]correlator.SourceVerdict, len(w.kernel.verdicts))
	for key, v := range w.kernel.verdicts {
		if key.Kind == flow.VerdictSource {
			list[key.Address] = correlator.SourceVerdict{Verdict: watch.Said(&v), Until: v.Expires}
		}
	}
	w.verdicts.Replace(list)
}

// coldTime is how long the watcher counts as cold: it knows nothing of what is usual until some windows have ended.
const coldTime = time.Minute

// note counts the verdicts that have begun.
func (w *world) note(report watch.Report) {
	for _, e := range report.Began {
		kind := outcome.On(e.Key)
		w.result.Flag(kind+": "+e.Verdict.Signals.String(), w.now-w.start < uint64(coldTime))
		if w.began != nil {
			w.began(e.Key, e.Verdict)
		}
	}
}

// take takes the record of a call that has ended.
func (w *world) take(r *correlator.CallRecord) {
	cold := !w.baselines.Usual(baseline.Key{Route: r.Route.Route, Method: r.Method}).Ready
	if cold {
		w.result.ColdCalls++
	}
	if r.Flagged {
		v := r.Facts.Verdict(signal.All)
		w.result.Flag("call: "+v.Signals.String(), cold)
	}
	if w.ended != nil {
		w.ended(r)
	}
}
