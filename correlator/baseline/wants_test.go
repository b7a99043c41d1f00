package baseline

import (
	"fmt"
	"testing"
	"time"
)

// TestWhatIsAskedFor: of a key without a verdict all periods at once, then the latest; of one with a verdict a period a window.
func TestWhatIsAskedFor(t *testing.T) {
	w := newWorld(t, testOptions())
	w.b.Share(0.2)
	w.learn(1, 1, false)
	w.second()
	answer := func() (asked []int64) {
		for _, want := range w.b.Wants(w.now) {
			asked = append(asked, want.Periods...)
			for _, p := range want.Periods {
				w.b.Merge(w.now, want.Key, p, nil)
			}
		}
		return asked
	}
	if asked := w.b.Wants(w.now); len(asked) != 1 || len(asked[0].Periods) != w.b.o.Windows {
		t.Fatalf("asked for %v", asked)
	}
	if asked := w.b.Wants(w.now); asked != nil {
		t.Errorf("asked twice: %v", asked)
	}
	w.now += uint64(askAgain)
	if asked := answer(); asked != nil {
		t.Errorf("asked again, without a call: %v", asked)
	}
	w.learn(1, 1, false)
	if asked := answer(); len(asked) != w.b.o.Windows {
		t.Errorf("nobody has answered, asked again for %v", asked)
	}
	w.now += uint64(askAgain)
	w.learn(1, 1, false)
	if asked := answer(); len(asked) > 2 {
		t.Errorf("all have answered, asked again for %v", asked)
	}
	for !w.b.Usual(testKey()).Ready {
		w.windows(1, func() { w.crowd(20) })
	}
	answer()
	times := map[int64]int{}
	w.windows(10, func() {
		w.crowd(1)
		for _, p := range answer() {
			times[p]++
			if over := time.Duration(w.b.wall(w.now)) % w.b.o.Window; over < w.b.o.Window/2 {
				t.Errorf("asked for %d %v after a window's end", p, over)
			}
		}
	})
	for p, n := range times {
		if n != 1 {
			t.Errorf("asked %d times for %d", n, p)
		}
	}
	if len(times) < 9 || len(times) > 11 {
		t.Errorf("asked for %d periods in ten windows", len(times))
	}
}

// TestAskingIsBounded: a call asks for some keys, and all get their turn.
func TestAskingIsBounded(t *testing.T) {
	o := testOptions()
	o.Keys = 500
	w := newWorld(t, o)
	w.b.Share(0.2)
	for i := range o.Keys {
		w.b.Learn(w.now, Key{fmt.Sprint(i), "GET"}, &Observation{Source: address(1), Values: typical(1)})
	}
	w.second()
	seen := map[Key]bool{}
	for range o.Keys/wantedAtOnce + 1 {
		wants := w.b.Wants(w.now)
		if len(wants) > wantedAtOnce {
			t.Errorf("%d keys at once", len(wants))
		}
		for _, want := range wants {
			seen[want.Key] = true
		}
	}
	if len(seen) != o.Keys {
		t.Errorf("%d keys had their turn", len(seen))
	}
}
