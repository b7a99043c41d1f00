package baseline

import "testing"

// TestAChangeIsLearned: when all calls become ten times as slow, they are flagged for ShiftWindows windows; then the baseline
// is replaced, which is said once, and nothing is flagged any more.
func TestAChangeIsLearned(t *testing.T) {
	w := newWorld(t, testOptions())
	w.windows(12, func() { w.crowd(30) })
	flagged := 0
	slow := func() {
		for source := range 30 {
			x := 20 * w.honest()
			abnormal := w.judge(x)
			if abnormal {
				flagged++
			}
			w.learn(source, x, abnormal)
		}
	}
	w.windows(4, slow)
	if len(w.shifts) != 1 || flagged < 3*60*30/2 {
		t.Fatalf("%d shifts, %d calls flagged", len(w.shifts), flagged)
	}
	s := w.shifts[0]
	if s.Key != testKey() || s.Shared || s.Windows != 3 || s.Sources != 30 || s.After != w.b.Usual(testKey()) && !s.After.Ready {
		t.Errorf("got %+v", s)
	}
	flagged = 0
	w.windows(12, slow)
	if len(w.shifts) != 1 || flagged > 60 {
		t.Errorf("afterwards: %d shifts, %d calls flagged", len(w.shifts), flagged)
	}
	w.wantNear("the median", w.response().P50, 20*honestP50, 0.1)
	if c := w.b.Counters(); c.Shifts != 1 {
		t.Errorf("got %+v", c)
	}
}

// TestAChangeOfSomeCallsKeepsTheRest: 70 % become slow; the 30 % that stay as they were are not abnormal afterwards.
func TestAChangeOfSomeCallsKeepsTheRest(t *testing.T) {
	w := newWorld(t, testOptions())
	w.windows(12, func() { w.crowd(30) })
	w.windows(8, func() {
		for source := range 30 {
			x := w.honest()
			if w.random.IntN(10) < 7 {
				x *= 20
			}
			w.learn(source, x, w.judge(x))
		}
	})
	if len(w.shifts) != 1 {
		t.Fatalf("%d shifts", len(w.shifts))
	}
	if s := w.shifts[0]; s.After.Calls < 3*60*30*85/100 { // some are capped, because two sources may share a slot
		t.Errorf("of what was not abnormal something is missing: %+v", s.After)
	}
	if r := w.response(); r.P50 < 5 || r.P99 < 20 {
		t.Errorf("got %v", r)
	}
	w.wantNear("the median rate", w.b.Usual(testKey()).Rate.P50, 30, 0.05)
}

// TestSomeSourcesCannotReplaceABaseline, whatever they send.
func TestSomeSourcesCannotReplaceABaseline(t *testing.T) {
	for _, test := range []struct {
		name           string
		honest, others int // sources
		hostile, calls int // sources, and calls of each a second
	}{
		{"one", 30, 30, 1, 1000},
		{"one of two", 1, 1, 1, 1000},
		{"one, while the other one is silent", 1, 0, 1, 100},
		{"two, while of thirty two are there", 30, 2, 2, 100},
		{"three, while nobody else is there", 30, 0, 3, 100},
		{"30 %", 70, 70, 30, 30},
		{"one, with a few of many", 300, 100, 1, 1000},
		{"30 % of many", 700, 700, 300, 4},
	} {
		w := newWorld(t, testOptions())
		w.windows(6, func() { w.crowd(test.honest) })
		for w.b.wall(w.now)%int64(w.b.o.Window) != 0 { // so that no window has both
			w.second()
		}
		before := w.response()
		if !w.b.Usual(testKey()).Ready {
			t.Fatalf("%s: there is no baseline to replace", test.name)
		}
		w.windows(5, func() {
			w.crowd(test.others)
			for range test.calls {
				for source := range test.hostile {
					w.learn(10_000+source, 100, true)
				}
			}
		})
		if len(w.shifts) > 0 {
			t.Errorf("%s: the baseline was replaced: %+v", test.name, w.shifts[0])
		}
		if r := w.response(); r.P99 > 2*before.P99 {
			t.Errorf("%s: %v, before %v", test.name, r, before)
		}
	}
}

// TestTheOnlySourceMayChange: behind one load balancer it is all there is.
func TestTheOnlySourceMayChange(t *testing.T) {
	w := newWorld(t, testOptions())
	w.windows(6, func() { w.crowd(1); w.crowd(1) })
	if !w.b.Usual(testKey()).Ready {
		t.Fatal("not ready")
	}
	slow := func() {
		for range 2 {
			x := 20 * w.honest()
			w.learn(0, x, w.judge(x))
		}
	}
	w.windows(8, slow)
	if len(w.shifts) != 1 {
		t.Errorf("%d shifts", len(w.shifts))
	}
}

// TestAQuietWindowDoesNotEndTheRow, and one that fits does.
func TestAQuietWindowDoesNotEndTheRow(t *testing.T) {
	for _, fit := range []bool{false, true} {
		w := newWorld(t, testOptions())
		w.windows(6, func() { w.crowd(30) })
		bad := func(sources int) func() {
			return func() {
				for source := range sources {
					w.learn(source, 100, true)
				}
			}
		}
		w.windows(2, bad(30))
		if fit {
			w.windows(1, func() { w.crowd(30) })
		} else {
			w.windows(1, bad(2))
		}
		w.windows(1, bad(30))
		if got := len(w.shifts) == 1; got == fit {
			t.Errorf("with a window that fits (%v): %d shifts", fit, len(w.shifts))
		}
	}
}
