package baseline

import (
	"math"
	"testing"
	"time"
)

// TestOneSourceCannotShift: 40 sources feed a baseline; one more that calls a hundred times as often as all of them, with
// values just below what is flagged, and first in each window, moves no quantile.
func TestOneSourceCannotShift(t *testing.T) {
	for _, ahead := range []bool{false, true} { // whether it has been there from the beginning
		w := newWorld(t, testOptions())
		if !ahead {
			w.windows(4, func() { w.crowd(40) })
		}
		w.windows(30, func() {
			for range 4000 / 8 {
				w.learn(1000, 2.9*max(w.response().P99, honestP99), false)
			}
			w.crowd(40)
		})
		r := w.response()
		t.Logf("median %.2f, 99th percentile %.2f", r.P50, r.P99)
		w.wantNear("the median", r.P50, honestP50, 0.1)
		w.wantNear("the 99th percentile", r.P99, honestP99, 0.2)
		if u := w.b.Usual(testKey()); u.Rate.P99 > 40*1.1 {
			t.Errorf("the rate is %v, want that of the others and a share", u.Rate)
		}
		if c := w.b.Counters(); c.Capped < 100_000 {
			t.Errorf("%d calls were capped", c.Capped)
		}
	}
}

// ramp plays a day of honest calls and a day in which a share of the sources calls with values just below what is flagged,
// and returns how far the quantiles have moved in that day.
func ramp(t *testing.T, hostile, of int) (p50, p99 float64) {
	t.Helper()
	o := testOptions()
	o.Window = 30 * time.Minute
	w := newWorld(t, o)
	day := func(hostile int) {
		for range 48 * 3 { // in steps of ten minutes, to be quick
			w.now += uint64(10 * time.Minute)
			for range 4 {
				w.crowd(of - hostile)
				for source := range hostile {
					w.learn(of-1-source, 2.99*w.response().P99, false)
				}
			}
			w.shifts = append(w.shifts, w.b.Rotate(w.now)...)
		}
	}
	day(0)
	before := w.response()
	w.wantNear("the median", before.P50, honestP50, 0.1)
	day(hostile)
	after := w.response()
	if len(w.shifts) > 0 {
		t.Errorf("the baseline was replaced: %+v", w.shifts)
	}
	return after.P50 / before.P50, after.P99 / before.P99
}

// TestASlowRampIsBounded: whatever share of the sources is hostile, a quantile moves by at most Drift a day.
func TestASlowRampIsBounded(t *testing.T) {
	const rounding = 1.03 // of the sketch, twice
	bound := Default().Drift * rounding
	for _, share := range []int{5, 30} {
		p50, p99 := ramp(t, share, 100)
		t.Logf("%d %% hostile sources move the median by %.2f and the 99th percentile by %.2f a day", share, p50, p99)
		if p50 > bound || p99 > bound {
			t.Errorf("%d %% hostile sources: median by %.2f, 99th percentile by %.2f, want at most %.2f", share, p50, p99, bound)
		}
		if p99 < 1.3 {
			t.Errorf("%d %% hostile sources moved it by %.2f only: the test does not do what it says", share, p99)
		}
		if share == 5 && math.Abs(p50-1) > 0.15 {
			t.Errorf("5 %% of the sources moved the median by %.2f", p50)
		}
	}
}

// TestANewBaselineFindsItsPlace: one learned from a cold start's calls is not held to Drift a day.
func TestANewBaselineFindsItsPlace(t *testing.T) {
	o := testOptions()
	product := 1.0
	for n := range 48 {
		o.Window = 30 * time.Minute
		product *= o.step(n + 1)
	}
	w := newWorld(t, o)
	w.wantNear("the bound of the first day", product, 22, 0.02)
	w.wantNear("a later day", math.Pow(o.step(1000), 48), o.Drift, 1e-9)
}
