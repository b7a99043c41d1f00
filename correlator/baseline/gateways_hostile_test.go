package baseline

import (
	"fmt"
	"testing"
	"time"
)

func dayOptions() Options {
	o := testOptions()
	o.Window = 30 * time.Minute
	return o
}

// heading returns what is usual without the bound of the drift: where it would be in the end.
func (w *world) heading() Range {
	e := w.b.published.Load().keys[testKey()]
	r := w.b.close.usual(e.closed, e.fleet).Quantities[Response]
	return Range{P50: r.P50 / 10_000, P99: r.P99 / 10_000}
}

func crowded(_ int, w *world) {
	for range 4 {
		w.crowd(25)
	}
}

// TestAHostileGateway: whatever one gateway says, and however much weight it claims, a quantile that own calls have taught moves by at most
// Drift a day; and where enough gateways have a word, a share of it moves no 99th percentile.
func TestAHostileGateway(t *testing.T) {
	for _, test := range []struct {
		gateways      int
		low50, high50 float64 // between what the median is in the end
		low99, high99 float64
	}{
		{gateways: 2, low50: 0, high50: honestP99, low99: 0.8, high99: 2.1},
		{gateways: 5, low50: 0.75, high50: 1.3, low99: 0.8, high99: 1.25},
		{gateways: 20, low50: 0.75, high50: 1.3, low99: 0.8, high99: 1.25},
	} {
		for _, x := range []float64{1e-9, 1e5} {
			g := newGateways(t, dayOptions(), test.gateways)
			g.listening = 1
			g.day(crowded)
			w := g.worlds[0]
			before := w.response()
			g.forge(test.gateways-1, x)
			g.day(crowded)
			what := fmt.Sprintf("one of %d says %v", test.gateways, x)
			day, end := w.response().over(before), w.heading().over(before)
			t.Logf("%s: a day moves the median by %.2f and the 99th percentile by %.2f, heading for %.2f and %.2f", what,
				day.P50, day.P99, end.P50, end.P99)
			bound := w.b.o.Drift * 1.03 // rounding
			if low, high := min(day.P50, day.P99), max(day.P50, day.P99); high > bound || low < 1/bound {
				t.Errorf("%s: moved by %v in a day", what, day)
			}
			if end.P50 < test.low50 || end.P50 > test.high50 || end.P99 < test.low99 || end.P99 > test.high99 {
				t.Errorf("%s: heading for %v", what, end)
			}
			if len(w.shifts) > 0 {
				t.Errorf("%s: the baseline was replaced", what)
			}
		}
	}
}

// TestAHostileGatewayAndANewcomer that has no calls of its own to compare with. It takes the word of the only other one; of two others the
// one that speaks low does not make calls unusual. Its own calls, once they are enough, put right what it was told.
func TestAHostileGatewayAndANewcomer(t *testing.T) {
	for _, test := range []struct {
		gateways    int
		low99, high float64 // of the 99th percentile, in honest ones
		high50      float64
	}{
		{2, 0, 1e6, 1e6},
		{3, 0.8, 1e6, 1e6},
		{6, 0.8, 1.25, 1.3},
		{21, 0.8, 1.25, 1.3},
	} {
		for _, x := range []float64{1e-9, 1e5} {
			g := newGateways(t, dayOptions(), test.gateways)
			g.listening = 1
			g.forge(test.gateways-1, x)
			g.day(func(i int, w *world) {
				if i > 0 {
					crowded(i, w)
				}
			})
			w := g.worlds[0]
			w.learn(1, 1, false)
			w.b.Rotate(w.now + 1)
			g.exchange()
			r := w.response().over(Range{honestP50, honestP99})
			if !w.b.Usual(testKey()).Ready || r.P99 < test.low99 || r.P99 > test.high || r.P50 > test.high50 {
				t.Errorf("one of %d others says %v: %v", test.gateways-1, x, r)
			}
			steps := 0
			g.day(func(i int, w *world) {
				crowded(i, w)
				if now := w.response().P99 / honestP99; i == 0 && (now < 0.7 || now > 2.5) {
					steps++
				}
			})
			t.Logf("one of %d others says %v: median %.2f, 99th percentile %.2f; put right after %v", test.gateways-1, x, r.P50, r.P99,
				time.Duration(steps)*10*time.Minute)
			if steps > 3*(w.b.o.ShiftWindows+1) {
				t.Errorf("one of %d others says %v: put right after %d windows", test.gateways-1, x, steps/3)
			}
		}
	}
}

// TestALoneWord: a gateway that has windows in periods in which others have none does not weigh more for that.
func TestALoneWord(t *testing.T) {
	for _, n := range []int{2, 5, 20} {
		rare := func(x float64) Range {
			g := newGateways(t, dayOptions(), n)
			g.listening = 1
			if x > 0 {
				g.forge(n-1, x)
			}
			calls := 0
			g.day(func(i int, w *world) {
				if calls++; calls/len(g.worlds)%9 == 8 { // 80 calls in three periods
					w.crowd(40)
					w.crowd(40)
				}
			})
			return g.worlds[0].heading()
		}
		honest := rare(0)
		for _, x := range []float64{1e-9, 1e5} {
			r := rare(x).over(honest)
			t.Logf("one of %d says %v: median by %.2f, 99th percentile by %.2f", n, x, r.P50, r.P99)
			if r.P99 < 0.6 || r.P99 > 2.2 || n > 2 && (r.P50 < 0.75 || r.P50 > 1.35 || r.P99 > 1.35) {
				t.Errorf("one of %d says %v: %v", n, x, r)
			}
		}
	}
}

// TestALightGatewayHoldsNobodyDown: of five gateways that can each be held to a share, one whose windows are as light as may be makes not
// the others' light, so that its windows of other periods would weigh more than theirs.
func TestALightGatewayHoldsNobodyDown(t *testing.T) {
	for _, x := range []float64{1e-9, 1e5} {
		o := dayOptions()
		g := newGateways(t, o, 6)
		g.listening = 1
		light := forge(o, o.minWeight(), x)
		g.forged[5] = func(int64) []byte { return light }
		steps := 0
		g.day(func(i int, w *world) {
			if steps++; steps/6 == 130 && i > 0 { // all in one period
				for range 3 {
					crowded(i, w)
				}
			}
		})
		w := g.worlds[0]
		w.learn(1, 1, false)
		w.b.Rotate(w.now + 1)
		g.exchange()
		r := w.response().over(Range{honestP50, honestP99})
		t.Logf("a light one says %v: median %.2f, 99th percentile %.2f", x, r.P50, r.P99)
		if !w.b.Usual(testKey()).Ready || r.P50 < 0.75 || r.P50 > 1.3 || r.P99 < 0.7 || r.P99 > 1.25 {
			t.Errorf("a light one says %v: %v", x, r)
		}
	}
}

// TestARampOfSourcesAndAGateway together moves nothing faster than Drift a day: what others say makes no second step in a window.
func TestARampOfSourcesAndAGateway(t *testing.T) {
	g := newGateways(t, dayOptions(), 2)
	w := g.worlds[0]
	ramp := func(hostile int) func(int, *world) {
		return func(i int, w *world) {
			for range 4 {
				w.crowd(70)
				for source := range hostile {
					w.learn(100+source, 2.99*w.response().P99, false)
				}
			}
		}
	}
	g.day(ramp(0))
	for range 2 {
		before, steps := w.response(), w.steps()
		g.forged[1] = func(int64) []byte { return forge(w.b.o, 1e11, 2.99*w.response().P99) }
		g.day(ramp(30))
		day := w.response().over(before)
		if bound := w.b.o.Drift * 1.03; day.P50 > bound || day.P99 > bound || day.P99 < 1.8 {
			t.Errorf("moved by %v in a day", day)
		}
		if n := w.steps() - steps; n != 48 {
			t.Errorf("moved %d times in 48 windows", n)
		}
	}
}

// TestTheFleetsWordMovesOnceAWindow, also of a key that this gateway has too few calls of to close windows.
func TestTheFleetsWordMovesOnceAWindow(t *testing.T) {
	g := newGateways(t, dayOptions(), 2)
	w := g.worlds[0]
	w.learn(1, 1, false)
	w.b.Rotate(w.now + 1)
	g.forge(1, 1)
	g.day(func(int, *world) {})
	before, steps := w.response(), w.steps()
	g.forge(1, 1e5)
	g.day(func(int, *world) {})
	if n := w.steps() - steps; n < 46 || n > 48 {
		t.Errorf("moved %d times in 48 windows", n)
	}
	if day := w.response().over(before); day.P50 > 2.1 || day.P99 > 2.1 || day.P99 < 1.5 {
		t.Errorf("moved by %v in a day", day)
	}
}

func (w *world) steps() int { return w.b.published.Load().keys[testKey()].steps }

func (r Range) over(of Range) Range { return Range{P50: r.P50 / of.P50, P99: r.P99 / of.P99} }

// forge lets a gateway say, in all periods and with a weight beyond all others, that calls are x times what they are.
func (g *gateways) forge(gateway int, x float64) {
	value := forge(g.worlds[gateway].b.o, 1e11, x)
	g.forged[gateway] = func(int64) []byte { return value }
}
