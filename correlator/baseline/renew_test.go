package baseline

import (
	"math"
	"testing"
)

// TestOwnRate: how often a key is called is another matter on each gateway; once this one's own calls are enough, they decide.
func TestOwnRate(t *testing.T) {
	g := newGateways(t, testOptions(), 3)
	for i := range 3 {
		g.forged[i] = func(int64) []byte { return nil }
	}
	busy := forge(g.worlds[0].b.o, 10_000, 20) // 600 a second
	g.forged[1] = func(int64) []byte { return busy }
	call := func(i int, w *world) {
		if i == 0 {
			w.crowd(2)
		}
	}
	g.seconds(1, call)
	w := g.worlds[0]
	if r := w.b.Usual(testKey()).Rate; !w.b.Usual(testKey()).Ready || r.P50 < 590 || r.P50 > 610 {
		t.Fatalf("the fleet's rate is %v", r)
	}
	g.windows(3, call)
	w.wantNear("the rate", w.b.Usual(testKey()).Rate.P50, 2, 0.02)
}

// TestAShiftIsTheEndOfTheFleetsPast: what others said before is gone, and is not taken again.
func TestAShiftIsTheEndOfTheFleetsPast(t *testing.T) {
	g := newGateways(t, testOptions(), 2)
	slow := 1.0
	call := func(i int, w *world) {
		x := w.honest()
		if i == 0 {
			x *= slow
		}
		w.learn(1, x, w.judge(x))
		w.learn(1, x, w.judge(x))
	}
	g.windows(8, call)
	w := g.worlds[0]
	e := w.b.published.Load().keys[testKey()]
	if len(e.fleet) < 6 {
		t.Fatalf("%d windows of the fleet", len(e.fleet))
	}
	slow = 100
	for range 6 {
		if g.windows(1, call); len(w.shifts) > 0 {
			break
		}
	}
	if len(w.shifts) != 1 {
		t.Fatalf("%d shifts", len(w.shifts))
	}
	w.wantNear("the median", w.shifts[0].After.Quantities[Response].P50/10_000, 100, 0.2)
	if e.replaced == 0 || len(e.fleet) > 0 && e.fleet[0].period <= e.replaced {
		t.Errorf("replaced in %d, %d windows of the fleet", e.replaced, len(e.fleet))
	}
	w.b.Merge(w.now, testKey(), e.replaced, g.peers(0, testKey(), e.replaced))
	if len(e.fleet) > 0 && e.fleet[0].period <= e.replaced {
		t.Error("what was before is taken")
	}
}

// TestOthersMaySayLess: what a gateway takes back, all of it or a quantity, sets nothing free.
func TestOthersMaySayLess(t *testing.T) {
	w := newWorld(t, testOptions())
	w.b.Share(0.2)
	w.learn(1, 1, false)
	w.second()
	period := w.b.o.period(w.b.wall(w.now))
	merge := func(value []byte) {
		if s := w.b.Merge(w.now, testKey(), period, []Peer{{"other", value}}); s != (Skipped{}) {
			t.Fatalf("got %+v", s)
		}
	}
	merge(forge(w.b.o, 1000, 1))
	before := w.b.Usual(testKey())
	merge(forge(w.b.o, 20, 1000))
	if u := w.b.Usual(testKey()); !before.Ready || *u != *before {
		t.Errorf("after less calls: %+v, before %+v", u, before)
	}
	w.now += uint64(w.b.o.Window)
	h, err := decode(forge(w.b.o, 1000, 1000), w.b.o.Window)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		period++
		h.Sketches[RTT] = nil
		merge(encode(&window{Weight: 1e6, Sketches: h.Sketches, Rate: h.Rate}, w.b.o.Window))
		w.now += uint64(w.b.o.Window)
	}
	u := w.b.Usual(testKey())
	if rtt := u.Quantities[RTT]; rtt.P99 > before.Quantities[RTT].P99*1.01 || rtt.P99 == 0 {
		t.Errorf("a quantity that nobody knows any more: %v, before %v", rtt, before.Quantities[RTT])
	}
	if r := u.Quantities[Response]; r.P99 < before.Quantities[Response].P99*1.5 {
		t.Errorf("one that is known: %v, before %v", r, before.Quantities[Response])
	}
}

// TestNoVerdictIsLost: readiness does not come and go with what others say, because a baseline that is new may move freely.
func TestNoVerdictIsLost(t *testing.T) {
	g := newGateways(t, testOptions(), 6)
	ready := 0
	g.windows(20, func(i int, w *world) {
		switch {
		case i == 0 && w.random.IntN(3) > 0:
			return // a third of a call a second
		case i > 1 && (w.b.wall(w.now)/int64(5*w.b.o.Window)+int64(i))%2 == 0:
			return // others come and go
		}
		w.learn(1, w.honest(), false)
		if i == 0 && w.b.Usual(testKey()).Ready {
			ready++
		} else if i == 0 && ready > 0 {
			t.Fatalf("no longer ready: %+v", w.b.Usual(testKey()))
		}
		if r := w.response(); i == 0 && ready > 0 && (r.P50 == 0 || math.Abs(r.P99-honestP99) > 0.5*honestP99) {
			t.Fatalf("got %v", r)
		}
	})
	if ready < 300 {
		t.Errorf("ready for %d calls", ready)
	}
}
