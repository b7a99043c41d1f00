package baseline

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"fivetuple/correlator/sketch"
)

// gateways are worlds on one wall clock that tell each other what they learn, as if through a server without faults.
type gateways struct {
	tb     testing.TB
	worlds []*world
	values map[Key]map[int64]map[string][]byte
	// forged is what a gateway says instead of what it has learned, if it is not nil.
	forged    map[int]func(period int64) []byte
	listening int // how many of them, from the first, hear the others
	skipped   Skipped
	asked     int // windows
}

func gatewayName(i int) string { return fmt.Sprint("gateway-", i) }

func newGateways(tb testing.TB, o Options, n int) *gateways {
	tb.Helper()
	g := &gateways{tb: tb, values: map[Key]map[int64]map[string][]byte{}, forged: map[int]func(int64) []byte{}, listening: n}
	for i := range n {
		w := newWorld(tb, o)
		uptime := time.Duration(i) * 17 * time.Hour // CLOCK_MONOTONIC is another on each
		w.b.SetWall(boot - uptime)
		w.now += uint64(uptime)
		w.now += uint64(o.Window) - uint64(w.b.wall(w.now))%uint64(o.Window) // where a window begins
		w.b.salt += uint64(i)
		for range i { // not the same calls everywhere
			w.random.Uint64()
		}
		w.b.Share(0.2)
		g.worlds = append(g.worlds, w)
	}
	return g
}

// exchange lets every gateway publish, ask, and merge.
func (g *gateways) exchange() {
	g.tb.Helper()
	for i, w := range g.worlds {
		for _, p := range w.b.Published(math.MaxInt) {
			if g.forged[i] == nil {
				g.publish(i, p.Key, p.Period, p.Value)
			}
		}
		if forge := g.forged[i]; forge != nil {
			period := w.b.o.period(w.b.wall(w.now))
			for p := period - int64(w.b.o.Windows); p <= period; p++ {
				g.publish(i, testKey(), p, forge(p))
			}
		}
	}
	for i, w := range g.worlds[:g.listening] {
		for _, want := range w.b.Wants(w.now) {
			for _, period := range want.Periods {
				g.asked++
				s := w.b.Merge(w.now, want.Key, period, g.peers(i, want.Key, period))
				g.skipped.Version += s.Version
				g.skipped.Damaged += s.Damaged
				g.skipped.Window += s.Window
				g.skipped.Thin += s.Thin
			}
		}
	}
}

func (g *gateways) publish(i int, k Key, period int64, value []byte) {
	if value == nil {
		return
	}
	if len(value) > MaxPublished {
		g.tb.Errorf("a value of %d bytes", len(value))
	}
	if g.values[k] == nil {
		g.values[k] = map[int64]map[string][]byte{}
	}
	if g.values[k][period] == nil {
		g.values[k][period] = map[string][]byte{}
	}
	g.values[k][period][gatewayName(i)] = value
}

func (g *gateways) peers(but int, k Key, period int64) (peers []Peer) {
	for i := range g.worlds {
		if v := g.values[k][period][gatewayName(i)]; i != but && v != nil {
			peers = append(peers, Peer{Gateway: gatewayName(i), Value: v})
		}
	}
	return peers
}

// seconds lets seconds pass everywhere.
func (g *gateways) seconds(n int, everySecond func(i int, w *world)) {
	for range n {
		for i, w := range g.worlds {
			everySecond(i, w)
			w.second()
		}
		g.exchange()
	}
}

// day lets a day pass everywhere, in steps of ten minutes, to be quick.
func (g *gateways) day(everyStep func(i int, w *world)) {
	for range 24 * 6 {
		for i, w := range g.worlds {
			w.now += uint64(10 * time.Minute)
			everyStep(i, w)
			w.shifts = append(w.shifts, w.b.Rotate(w.now)...)
		}
		g.exchange()
	}
}

// windows lets windows pass everywhere.
func (g *gateways) windows(n int, everySecond func(i int, w *world)) {
	g.seconds(n*int(g.worlds[0].b.o.Window/time.Second), everySecond)
}

// forge returns a value of a window in which all quantities are x times what is usual.
func forge(o Options, weight, x float64) []byte {
	c := newCloser(o)
	w := &window{Weight: weight}
	for q := range Quantities {
		c.sketch.Clear()
		c.sketch.Add(typical(x)[q], weight)
		w.Sketches[q] = c.sketch.Pack()
	}
	c.sketch.Clear()
	c.sketch.Add(30*x, o.Window.Seconds())
	w.Rate = c.sketch.Pack()
	return encode(w, o.Window)
}

// exact returns the quantile of values, give or take a rank that rounding moves.
func (w *world) wantQuantile(what string, got, at float64, values []float64) {
	w.tb.Helper()
	slices.Sort(values)
	rank := at * float64(len(values)-1)
	slack := 2 + float64(len(values))/500
	low := values[int(math.Max(rank-slack, 0))]
	high := values[int(math.Min(rank+slack, float64(len(values)-1)))]
	if !(got >= low*(1-sketch.Accuracy) && got <= high*(1+sketch.Accuracy)) {
		w.tb.Errorf("%s is %v, want %v..%v", what, got, low, high)
	}
}

// loadFrom saves and loads.
func loadFrom(tb testing.TB, to, from *Baselines) {
	tb.Helper()
	if err := to.Load(bytes.NewReader(savedText(tb, from))); err != nil {
		tb.Fatal(err)
	}
}
