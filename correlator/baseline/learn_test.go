package baseline

import (
	"math"
	"testing"
	"time"

	"fivetuple/correlator/sketch"
)

// TestLearns: after some windows the quantiles are those of what was called, of each quantity, and of the rate.
func TestLearns(t *testing.T) {
	w := newWorld(t, testOptions())
	w.windows(12, func() { w.crowd(30) })
	u := w.b.Usual(testKey())
	if !u.Ready || u.Calls < 15_000 {
		t.Fatalf("got %+v", u)
	}
	for q, r := range u.Quantities {
		unit := typical(1)[q]
		w.wantNear("the median of "+Quantity(q).String(), r.P50/unit, honestP50, 0.06)
		w.wantNear("the 99th percentile of "+Quantity(q).String(), r.P99/unit, honestP99, 0.2)
	}
	w.wantNear("the median rate", u.Rate.P50, 30, 0.02)
	w.wantNear("the highest rate", u.Rate.P99, 30, 0.02)
	if other := w.b.Usual(Key{Route: "orders", Method: "POST"}); other.Ready || other.Calls != 0 {
		t.Errorf("another method has %+v", other)
	}
}

// TestVerdictNeedsCallsAndSourcesOrTime: many sources are enough once there are MinCalls; one source has to wait for the
// window's end, and to go on.
func TestVerdictNeedsCallsAndSourcesOrTime(t *testing.T) {
	w := newWorld(t, testOptions())
	for range 6 { // 180 calls
		w.crowd(30)
	}
	w.second()
	if u := w.b.Usual(testKey()); u.Ready {
		t.Errorf("ready after %d calls", u.Calls)
	}
	for range 3 { // some are capped, because two sources may share a slot
		w.crowd(30)
	}
	w.second()
	if u := w.b.Usual(testKey()); !u.Ready || u.Calls < 200 || u.Calls > 270 {
		t.Errorf("got %+v after 270 calls of many sources", u)
	}

	w = newWorld(t, testOptions())
	for range 10_000 {
		w.learn(1, w.honest(), false)
	}
	w.second()
	if w.b.Usual(testKey()).Ready {
		t.Error("a burst of one source made a baseline")
	}
	w.windows(2, func() { w.learn(1, w.honest(), false) })
	if !w.b.Usual(testKey()).Ready {
		t.Error("a source that is alone is not learned from")
	}
}

// TestRareCallsKeepTheirBaseline: a route with few calls a window becomes ready, and stays so.
func TestRareCallsKeepTheirBaseline(t *testing.T) {
	w := newWorld(t, testOptions())
	seconds, ready := 0, 0
	w.windows(300, func() {
		if seconds++; seconds%20 == 0 { // three a window
			w.learn(seconds%3, w.honest(), false)
		}
		if w.b.Usual(testKey()).Ready {
			ready++
		} else if ready > 0 {
			t.Fatalf("no longer ready after %d seconds", seconds)
		}
	})
	if ready < 200*60 {
		t.Errorf("ready for %d seconds of %d", ready, seconds)
	}
	if r := w.b.Usual(testKey()).Rate; r.P50 != 0 || r.P99 < 0.99 || r.P99 > 1.01 {
		t.Errorf("the rate is %v, want a call in few seconds", r)
	}
}

// TestAbnormalDoesNotTeach.
func TestAbnormalDoesNotTeach(t *testing.T) {
	w := newWorld(t, testOptions())
	w.windows(3, func() { w.crowd(30) })
	before := w.response()
	w.windows(6, func() {
		w.crowd(30)
		for source := range 12 {
			w.learn(source, 100, true)
		}
	})
	w.wantNear("the 99th percentile", w.response().P99, before.P99, 0.2)
	if c := w.b.Counters(); c.Abnormal < 6*60*12 || len(w.shifts) > 0 {
		t.Errorf("got %+v, %d shifts", c, len(w.shifts))
	}
}

// TestUnknownValues teach nothing, and the rest of their call does.
func TestUnknownValues(t *testing.T) {
	w := newWorld(t, testOptions())
	w.windows(3, func() {
		for source := range 30 {
			v := typical(1)
			v[Size], v[Wait], v[RTT], v[Receive] = math.NaN(), -1, 0, 0
			w.b.Learn(w.now, testKey(), &Observation{Source: address(source), Values: v})
		}
	})
	u := w.b.Usual(testKey())
	for q, want := range [Quantities]bool{Receive: true, Response: true} {
		if got := u.Quantities[q] != (Range{}); got != want {
			t.Errorf("%v is %v", Quantity(q), u.Quantities[q])
		}
	}
	if r := u.Quantities[Receive]; r.P50 != 0 || r.P99 != 1 {
		t.Errorf("what is always 0 is %v", r)
	}
}

// TestStrangeValues are cut to what is told apart.
func TestStrangeValues(t *testing.T) {
	w := newWorld(t, testOptions())
	w.windows(2, func() {
		for source := range 30 {
			v := [Quantities]float64{math.Inf(1), math.MaxFloat64, math.SmallestNonzeroFloat64, math.Inf(-1), 1e-300}
			w.b.Learn(w.now, testKey(), &Observation{Source: address(source), Values: v})
		}
	})
	u := w.b.Usual(testKey())
	w.wantNear("infinity", u.Quantities[Size].P50, sketch.MaxValue, sketch.Accuracy)
	w.wantNear("the largest number", u.Quantities[Receive].P50, sketch.MaxValue, sketch.Accuracy)
	if u.Quantities[Wait].P50 != 0 || u.Quantities[RTT] != (Range{}) || u.Quantities[Response].P50 != 0 {
		t.Errorf("got %+v", u)
	}
}

// TestTheWallClockMayJump: windows then end early or late, and nothing else happens.
func TestTheWallClockMayJump(t *testing.T) {
	w := newWorld(t, testOptions())
	w.windows(3, func() { w.crowd(30) })
	for _, jump := range []time.Duration{-time.Hour, 24 * time.Hour, -100 * 365 * 24 * time.Hour} {
		w.b.SetWall(boot + jump)
		w.windows(2, func() { w.crowd(30) })
	}
	if !w.b.Usual(testKey()).Ready {
		t.Error("the baseline is gone")
	}
	w.wantNear("the median", w.response().P50, honestP50, 0.1)
}

// TestIPv6ClientsAreTheirNetworks: of one network's addresses there are more than anybody can count.
func TestIPv6ClientsAreTheirNetworks(t *testing.T) {
	b := New(testOptions())
	a := [16]byte{0x20, 0x01, 0x0d, 0xb8, 15: 1}
	c := a
	c[15], c[8] = 2, 7
	if b.source(a) != b.source(c) {
		t.Error("two addresses of a /64 are two sources")
	}
	c[7] = 1
	if b.source(a) == b.source(c) || b.source(address(1)) == b.source(address(2)) {
		t.Error("two sources are one")
	}
}
