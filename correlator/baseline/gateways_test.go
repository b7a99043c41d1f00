package baseline

import (
	"bytes"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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

// TestWhatIsPublished: own closed windows, once; of a period the heaviest; nothing of the keys beyond the bound.
func TestWhatIsPublished(t *testing.T) {
	o := testOptions()
	o.Keys = 2
	w := newWorld(t, o)
	w.b.Share(0.2)
	w.windows(3, func() {
		w.crowd(30)
		for i := range 3 {
			w.b.Learn(w.now, Key{fmt.Sprint(i), "GET"}, &Observation{Source: address(1), Values: typical(1)})
		}
	})
	w.second()
	type pair struct {
		Key
		period int64
	}
	seen := map[pair]float64{}
	take := func() (n int) {
		for _, p := range w.b.Published(math.MaxInt) {
			h, err := decode(p.Value, o.Window)
			if err != nil || h.Weight <= seen[pair{p.Key, p.Period}] || p.Key.Route == "" {
				t.Errorf("%+v, %v, %v before", p.Key, err, seen[pair{p.Key, p.Period}])
				continue
			}
			seen[pair{p.Key, p.Period}] = h.Weight
			n++
		}
		return n
	}
	if n := take(); n < 4 || n > 8 || len(w.b.Published(math.MaxInt)) > 0 {
		t.Errorf("%d windows were published", n)
	}
	for range 20 {
		w.crowd(2)
	}
	w.b.Close(w.now)                                                         // in the same period, and lighter
	if n := take(); n > 1 || w.b.Counters().Published != uint64(len(seen)) { // the other key's may be its first
		t.Errorf("%d windows were published, %+v", n, w.b.Counters())
	}
	w.windows(2*o.Windows+20, func() { w.crowd(30) })
	if n := len(w.b.Published(math.MaxInt)); n > o.Windows*o.Keys || w.b.Counters().Unpublished < 10 {
		t.Errorf("%d windows waited: %+v", n, w.b.Counters())
	}
}

// TestRepublish: what has got lost is told again, a part at a time, also by a process that has it from its file alone.
func TestRepublish(t *testing.T) {
	w := newWorld(t, testOptions())
	w.b.Share(0.2)
	w.windows(4, func() { w.crowd(30) })
	told := w.b.Published(math.MaxInt)
	if len(told) < 3 || len(w.b.Published(math.MaxInt)) > 0 {
		t.Fatalf("%d windows were told", len(told))
	}
	again := New(w.b.o)
	again.SetWall(time.Duration(w.b.offset.Load()))
	again.Share(0.2)
	if err := again.Load(bytes.NewReader(savedText(t, w.b))); err != nil {
		t.Fatal(err)
	}
	for _, b := range []*Baselines{w.b, again} {
		b.Republish(w.now)
		var got []Published
		for part := b.Published(2); len(part) > 0; part = b.Published(2) {
			got = append(got, part...)
		}
		if d := cmp.Diff(told, got); d != "" {
			t.Errorf("told again (-first +again):\n%s", d)
		}
	}
}

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

// TestStrangers: a gateway whose medians are far from this one's on most keys is of another fleet.
func TestStrangers(t *testing.T) {
	g := newGateways(t, testOptions(), 4)
	keys := []Key{{"a", "GET"}, {"b", "GET"}, {"c", "GET"}, {"d", "POST"}}
	g.windows(4, func(i int, w *world) {
		for j, k := range keys {
			x := w.honest()
			if i == 3 && j < 3 || i == 2 && j < 2 {
				x *= 8
			}
			w.b.Learn(w.now, k, &Observation{Source: address(1), Values: typical(x)})
		}
	})
	got := g.worlds[0].b.Strangers()
	if len(got) != 1 || got[0] != (Stranger{Gateway: gatewayName(3), Keys: 4, Apart: 3}) {
		t.Errorf("got %+v", got)
	}
	if got := g.worlds[3].b.Strangers(); len(got) != 2 { // not gateway 2, which differs as it does
		t.Errorf("the stranger says %+v", got)
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
