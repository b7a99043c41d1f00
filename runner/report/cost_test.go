package report

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"fivetuple/correlator"
)

// realistic returns a call of a route: a road of some 20 ms, an upstream of some 5 ms with a long tail, few slow bodies.
func realistic(random *rand.Rand, route string) *correlator.CallRecord {
	r := exchange(route)
	around := func(ms, spread float64) uint64 { return uint64(ms * 1e6 * math.Exp(random.NormFloat64()*spread)) }
	s := correlator.Split{Network: around(20, 0.6), Waiting: around(0.2, 0.4), Serving: around(5, 1)}
	if random.IntN(10) == 0 {
		s.Arriving, s.Leaving = around(1, 1), around(3, 1)
	}
	s.Total = s.Network + s.Arriving + s.Waiting + s.Serving + s.Leaving
	r.Split = s
	return r
}

// busy returns figures of a whole day with so many calls of each route in five minutes.
func busy(t testing.TB, routes, calls int) (*Figures, *clock) {
	t.Helper()
	f, clock := newFigures(t, routes)
	random := rand.New(rand.NewPCG(5, 6))
	for five := range 25 * 12 {
		for route := range routes {
			for range calls {
				f.Take(realistic(random, fmt.Sprintf("route-%d", route)))
			}
		}
		if five < 25*12-1 {
			clock.advance(5 * time.Minute)
		}
	}
	return f, clock
}

// busyRouteBytes and maxRouteBytes are the memory that a route may take, with a busy day and with any: what fivetuple.yaml says.
const busyRouteBytes, maxRouteBytes = 250 << 10, 700 << 10

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestMemoryOfADay: a route with a whole day's calls takes what the settings say.
func TestMemoryOfADay(t *testing.T) {
	const routes = 8
	for _, calls := range []int{3, 30, 300} { // each in five minutes
		before := heap()
		f, _ := busy(t, routes, calls)
		each := (heap() - before) / routes
		fine, _ := f.Changed(StepFine, 0)
		hours, _ := f.Changed(StepHour, 0)
		t.Logf("%d calls in 5 min: %d KiB a route; values of %d bytes, of an hour %d", calls, each>>10, size(t, fine), size(t, hours))
		if n := len(fine) + len(hours); n != routes*int(KeepFine+KeepHour) || each > busyRouteBytes {
			t.Errorf("%d bytes a route in %d values", each, n)
		}
		runtime.KeepAlive(f)
	}
}

// TestMostMemory: nor does one with calls of every length in every bucket take more than may be.
func TestMostMemory(t *testing.T) {
	before := heap()
	f, clock := newFigures(t, 1)
	r := exchange("orders")
	for five := range 25 * 12 {
		if five >= 24*12 || five%12 == 0 { // the hours have all they can have of one of their buckets
			for us := 1.0; us < 4e9; us *= 1.005 {
				f.Take(alike(r, us))
			}
		}
		if five < 25*12-1 {
			clock.advance(5 * time.Minute)
		}
	}
	each := heap() - before
	t.Logf("%d KiB", each>>10)
	if each > maxRouteBytes || each < maxRouteBytes/2 {
		t.Errorf("%d bytes, at most %d are said", each, maxRouteBytes)
	}
	runtime.KeepAlive(f)
}

// alike sets each of a call's times, in microseconds.
func alike(r *correlator.CallRecord, us float64) *correlator.CallRecord {
	ns := uint64(us * 1000)
	r.Split = correlator.Split{Network: ns, Arriving: ns, Waiting: ns, Serving: ns, Leaving: ns, Total: ns}
	return r
}

// size returns how long values are on average.
func size(t testing.TB, values []Changed) int {
	t.Helper()
	n := 0
	for _, v := range values {
		n += len(encoded(t, v.Value))
	}
	return n / len(values)
}

// TestTakeAllocatesNothing: once a route has its sketches.
func TestTakeAllocatesNothing(t *testing.T) {
	f, _ := newFigures(t, 10)
	r := flagged(exchange("orders"))
	f.Take(r)
	if n := testing.AllocsPerRun(100, func() { f.Take(r) }); n != 0 {
		t.Errorf("a call allocates %v times", n)
	}
}

func BenchmarkTake(b *testing.B) {
	f, clock := newFigures(b, 200)
	random := rand.New(rand.NewPCG(7, 8))
	var calls []*correlator.CallRecord
	for i := range 10_000 {
		calls = append(calls, realistic(random, fmt.Sprintf("route-%d", i%200)))
	}
	f.options.Now = time.Now
	clock.set(noon)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		f.Take(calls[i%len(calls)])
	}
}

// BenchmarkReport makes the report of a day.
func BenchmarkReport(b *testing.B) {
	f, _ := busy(b, 100, 100)
	b.ReportAllocs()
	for b.Loop() {
		if r := f.Report(Query{Since: MaxSince}); len(r.Routes) != 100 {
			b.Fatal(len(r.Routes))
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/100, "us/route")
}

// BenchmarkChanged packs what calls have changed in a minute, which calls wait for, and then writes it.
func BenchmarkChanged(b *testing.B) {
	const routes = 1000
	f, _ := newFigures(b, routes)
	random := rand.New(rand.NewPCG(7, 8))
	for range 300 {
		for route := range routes {
			f.Take(realistic(random, fmt.Sprintf("route-%d", route)))
		}
	}
	var packing time.Duration
	bytes := 0
	for b.Loop() {
		for _, b := range f.fine.buckets {
			for _, c := range b.cells {
				c.packed = nil
			}
		}
		began := time.Now()
		changed, _ := f.Changed(StepFine, 0)
		packing += time.Since(began)
		bytes = size(b, changed)
	}
	b.ReportMetric(float64(packing.Microseconds())/float64(b.N)/routes, "us-packing/route")
	b.ReportMetric(float64(bytes), "B/value")
}

// BenchmarkCollect merges the values of an hour of 10 gateways, for each of which a report waits.
func BenchmarkCollect(b *testing.B) {
	var p published
	f, clock := busy(b, 20, 100)
	for g := range 10 {
		p.publish(b, fmt.Sprintf("gw-%d", g), f)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Collect(b.Context(), Query{Since: time.Hour}, clock.now(), &p); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(10*20*KeepFine), "us/value")
}
