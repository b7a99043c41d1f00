package baseline

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// world drives baselines on a clock of its own.
type world struct {
	tb     testing.TB
	b      *Baselines
	now    uint64
	random *rand.Rand
	shifts []Shift
}

const boot = 1_700_000_000 * time.Second // when the world's machine was started, since 1970

func testOptions() Options {
	o := Default()
	o.File, o.Window = "", time.Minute
	return o
}

func newWorld(tb testing.TB, o Options) *world {
	tb.Helper()
	if err := o.Validate(); err != nil {
		tb.Fatal(err)
	}
	var mu sync.Mutex
	seeds := rand.New(rand.NewPCG(3, 4)) // repeatable
	seed := func() uint64 {
		mu.Lock()
		defer mu.Unlock()
		return seeds.Uint64()
	}
	w := &world{tb: tb, b: newSeeded(o, seed), now: uint64(time.Hour), random: rand.New(rand.NewPCG(1, 2))}
	w.b.SetWall(boot)
	return w
}

func testKey() Key { return Key{Route: "orders", Method: "GET"} }

// address returns a source's address, 10.x.y.z.
func address(source int) (a [16]byte) {
	a[10], a[11], a[12] = 0xff, 0xff, 10
	binary.BigEndian.PutUint32(a[12:], 10<<24|uint32(source))
	return a
}

// honest returns what an honest call is like: the median is 1, in the unit of the quantity's floor times 10.
func (w *world) honest() float64 { return math.Exp(0.5 * w.random.NormFloat64()) }

const (
	honestP50 = 1
	honestP99 = 3.2 // exp(0.5 * 2.326)
)

// typical returns values of a call that is x times what is usual: 20 KB, 10 ms everywhere.
func typical(x float64) (v [Quantities]float64) {
	for q := range v {
		v[q] = 10_000 * x
	}
	v[Size] = 20_000 * x
	return v
}

func (w *world) learn(source int, x float64, abnormal bool) {
	w.b.Learn(w.now, testKey(), &Observation{Source: address(source), Values: typical(x), Abnormal: abnormal})
}

// response returns what is usual for the response time, in units of an honest call's median.
func (w *world) response() Range {
	r := w.b.Usual(testKey()).Quantities[Response]
	return Range{P50: r.P50 / 10_000, P99: r.P99 / 10_000}
}

// second lets a second pass.
func (w *world) second() {
	w.now += uint64(time.Second)
	w.shifts = append(w.shifts, w.b.Rotate(w.now)...)
}

// windows lets windows pass, with a call of everybody each second.
func (w *world) windows(n int, everySecond func()) {
	for range n * int(w.b.o.Window/time.Second) {
		everySecond()
		w.second()
	}
}

// judge flags what the correlator's rules would: more than three times the 99th percentile, once there is one.
func (w *world) judge(x float64) bool {
	return w.b.Usual(testKey()).Ready && x > 3*w.response().P99
}

// crowd makes an honest call of each of n sources.
func (w *world) crowd(n int) {
	for source := range n {
		x := w.honest()
		w.learn(source, x, w.judge(x))
	}
}

func (w *world) wantNear(what string, got, want, within float64) {
	w.tb.Helper()
	if !(math.Abs(got-want) <= within*want) {
		w.tb.Errorf("%s is %.3f, want %.3f within %.0f %%", what, got, want, within*100)
	}
}
