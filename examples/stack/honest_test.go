package stack_test

import (
	"sync/atomic"

	"fivetuple/correlator"
	"fivetuple/correlator/baseline"
	"fivetuple/correlator/signal"
)

// fixedBaselines says that the same is usual for every call, and learns nothing. The zero value is not ready.
type fixedBaselines struct {
	usual atomic.Pointer[baseline.Usual]
}

// Usual implements correlator.Baselines.
func (f *fixedBaselines) Usual(baseline.Key) *baseline.Usual {
	if usual := f.usual.Load(); usual != nil {
		return usual
	}
	return new(baseline.Usual)
}

// Learn implements correlator.Baselines.
func (*fixedBaselines) Learn(uint64, baseline.Key, *baseline.Observation) {}

// areNarrow makes unusual what is not the smallest call on the shortest road.
func (f *fixedBaselines) areNarrow() {
	usual := &baseline.Usual{Ready: true, Calls: 1000}
	for q := range usual.Quantities {
		usual.Quantities[q] = baseline.Range{P50: 1, P99: 1}
	}
	f.usual.Store(usual)
}

// wantNoFlags wants no call flagged: nobody meant any harm, however large, slow or far away calls were. Some have a score.
func (tr *traffic) wantNoFlags() {
	tr.t.Helper()
	scores, highest := 0, signal.Verdict{}
	for _, r := range tr.runner.all() {
		v := r.Facts.Verdict(signal.All)
		if v.Score > 0 {
			scores++
		}
		if v.Score > highest.Score {
			highest = v
		}
		if r.Flagged || r.Judged == (r.Match == correlator.MatchNone) {
			tr.t.Errorf("%s, %v: judged %v, flagged with %.3f for %v", r.Route.Route, r.Match, r.Judged, v.Score, v.Signals)
		}
	}
	tr.t.Logf("%d of %d calls have a score; the highest is %.3f for %v", scores, len(tr.runner.all()), highest.Score, highest.Signals)
}
