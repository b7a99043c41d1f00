package baseline

import (
	"math"
	"testing"
)

// TestGatewaysLearnTogether: a gateway that starts has a verdict at the first call that it is asked about, and its quantiles are those
// of all raw values of both others.
func TestGatewaysLearnTogether(t *testing.T) {
	o := testOptions()
	g := newGateways(t, o, 3)
	var raw [Quantities][]float64
	g.windows(6, func(i int, w *world) {
		if i == 2 {
			return // not there yet
		}
		for range 5 {
			v := typical(w.honest() * (1 + 0.3*float64(i)))
			w.b.Learn(w.now, testKey(), &Observation{Source: address(1), Values: v})
			for q := range v {
				raw[q] = append(raw[q], v[q])
			}
		}
	})
	for i := range 2 {
		for _, p := range g.worlds[i].b.Close(g.worlds[i].now) {
			t.Error(p)
		}
	}
	late := g.worlds[2]
	late.learn(7, 1, false)
	late.second() // the key is there
	if late.b.Usual(testKey()).Ready {
		t.Fatal("a verdict of one call")
	}
	g.exchange()
	u := late.b.Usual(testKey())
	if !u.Ready || g.skipped != (Skipped{}) {
		t.Fatalf("got %+v, skipped %+v", u, g.skipped)
	}
	late.wantNear("the weight of the calls", float64(u.Calls), float64(len(raw[0])), 0.001)
	for q, r := range u.Quantities {
		late.wantQuantile("the median of "+Quantity(q).String(), r.P50, 0.5, raw[q])
		late.wantQuantile("the 99th percentile of "+Quantity(q).String(), r.P99, 0.99, raw[q])
	}
	late.wantNear("the fleet's rate", u.Rate.P50, 5, 0.02)
	if c := late.b.Counters(); c.Merged == 0 || c.Ready != 1 {
		t.Errorf("got %+v", c)
	}
}

// TestWithoutTheOthers: what one gateway learns by itself is what it always was, bit by bit.
func TestWithoutTheOthers(t *testing.T) {
	alone, shares := newWorld(t, testOptions()), newWorld(t, testOptions())
	shares.b.Share(0.2)
	for _, w := range []*world{alone, shares} {
		w.windows(10, func() { w.crowd(30) })
		w.windows(5, func() { w.crowd(3) })
	}
	if *alone.b.Usual(testKey()) != *shares.b.Usual(testKey()) {
		t.Errorf("%+v, want %+v", shares.b.Usual(testKey()), alone.b.Usual(testKey()))
	}
	if p := alone.b.Published(math.MaxInt); len(p) > 0 || alone.b.Wants(alone.now) != nil {
		t.Errorf("a gateway that does not share publishes %d windows", len(p))
	}
	alone.b.Merge(alone.now, testKey(), alone.b.o.period(alone.b.wall(alone.now)), []Peer{{"x", forge(alone.b.o, 1e6, 9)}})
	if alone.response().P50 > 2 {
		t.Error("it was told something")
	}
}

// TestOnlyOwnWindowsAreSaved: a baseline that other gateways have given does not outlive the process; an own one goes on.
func TestOnlyOwnWindowsAreSaved(t *testing.T) {
	g := newGateways(t, testOptions(), 2)
	g.windows(4, func(i int, w *world) { w.learn(1, w.honest(), false); w.learn(1, w.honest(), i == 1) })
	g.forged[0] = func(int64) []byte { return nil }
	back := newWorld(t, testOptions())
	loadFrom(t, back.b, g.worlds[0].b)
	e := back.b.published.Load().keys[testKey()]
	if len(e.closed) < 3 || len(e.fleet) > 0 {
		t.Errorf("%d windows, %d of the fleet", len(e.closed), len(e.fleet))
	}
	for _, w := range e.closed {
		if w.Weight > 121 {
			t.Errorf("a window of %v calls, of 120 there were", w.Weight)
		}
	}
}

// TestSettingsThatDiffer: other numbers of calls and windows do no harm; windows of another length are not taken.
func TestSettingsThatDiffer(t *testing.T) {
	g := newGateways(t, testOptions(), 2)
	g.worlds[1].b.o.MinCalls, g.worlds[1].b.o.Windows, g.worlds[1].b.o.SourceShare = 20, 2, 1
	g.worlds[1].b.close.o = g.worlds[1].b.o
	g.windows(6, func(_ int, w *world) { w.learn(1, w.honest(), false); w.learn(2, w.honest(), false) })
	if g.skipped != (Skipped{}) {
		t.Errorf("got %+v", g.skipped)
	}
	for i, w := range g.worlds {
		if c := w.b.Counters(); c.Merged == 0 {
			t.Errorf("gateway %d merged nothing", i)
		}
		w.wantNear("the median", w.response().P50, honestP50, 0.15)
	}
	w := g.worlds[0]
	period := w.b.o.period(w.b.wall(w.now))
	other := w.b.o
	other.Window *= 2
	s := w.b.Merge(w.now, testKey(), period, []Peer{
		{"a", forge(other, 1000, 1)}, {"b", forge(w.b.o, 1, 1)}, {"c", []byte(`{"v":2}`)}, {"d", []byte("{}")}, {"e", nil}, {"a", nil},
	})
	if s != (Skipped{Version: 1, Damaged: 2, Window: 1, Thin: 1}) {
		t.Errorf("got %+v", s)
	}
}
