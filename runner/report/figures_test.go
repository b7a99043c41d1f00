package report

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"fivetuple/correlator"
	"fivetuple/correlator/signal"
	"fivetuple/correlator/sketch"
)

// TestCounts: each number of a report, for calls of every sort.
func TestCounts(t *testing.T) {
	f, _ := newFigures(t, 10)
	f.Take(exchange("orders"))
	f.Take(flagged(exchange("orders"), signal.Retransmit, signal.PortScan))
	cut := flagged(exchange("orders"), signal.Retransmit)
	cut.Cut = true
	f.Take(cut)
	f.Take(&correlator.CallRecord{Identity: exchange("orders").Identity, Match: correlator.MatchNone})
	shared := exchange("orders")
	shared.Match = correlator.MatchShared
	f.Take(shared)
	got := routeOf(t, f.Report(Query{Since: time.Hour}), "orders")
	q := func(v float64) *Quantiles { return &Quantiles{v, v, v} }
	ratio := func(a, b float64) *float64 { r := a / b; return &r }
	want := Route{
		Route: "orders", Calls: 5, Matches: Matches{None: 1, Shared: 1, Exchange: 3}, ExactShare: 0.6, Cut: 1, Timed: 2,
		Total: q(34), Network: q(23), Arriving: q(0.1), Wait: q(0.2), Upstream: q(9.7), Response: q(1),
		Request: Traffic{Bytes: 4 * 1104, Payload: 4000, Packets: 8, Retransmitted: 4, Ratio: ratio(4, 8)},
		Answer:  Traffic{Bytes: 4 * 6260, Payload: 24000, Packets: 20, Retransmitted: 16, Ratio: ratio(16, 20)},
		Flagged: 2, Flags: Flags{signal.Retransmit: 2, signal.PortScan: 1},
	}
	within := cmp.Comparer(func(a, b Quantiles) bool {
		return math.Abs(a.P50/b.P50-1) <= 0.02 && math.Abs(a.P90/b.P90-1) <= 0.02 && math.Abs(a.P99/b.P99-1) <= 0.02
	})
	if d := cmp.Diff(want, got, within); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestNothingIsKnown: calls without figures have neither times nor ratios.
func TestNothingIsKnown(t *testing.T) {
	f, _ := newFigures(t, 10)
	f.Take(&correlator.CallRecord{Match: correlator.MatchNone})
	got := f.Report(Query{Since: time.Hour}).Routes
	want := []Route{{Calls: 1, Matches: Matches{None: 1}}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestQuantilesOfADay: merged over all buckets, they are those of all calls, within the stated accuracy.
func TestQuantilesOfADay(t *testing.T) {
	f, clock := newFigures(t, 10)
	random := rand.New(rand.NewPCG(1, 2))
	var day, hour []float64
	for minute := range 24 * 60 {
		for range 20 {
			us := math.Exp(random.NormFloat64()*1.5+float64(minute)/1440) * 5000
			f.Take(took(exchange("orders"), us))
			day = append(day, us)
			if minute >= 23*60 {
				hour = append(hour, us)
			}
		}
		if minute < 24*60-1 {
			clock.advance(time.Minute)
		}
	}
	holds(t, routeOf(t, f.Report(Query{Since: 24 * time.Hour}), "orders"), day)
	holds(t, routeOf(t, f.Report(Query{Since: 59 * time.Minute}), "orders"), hour)
}

// holds compares the quantiles of a route's whole time with those of the times themselves.
func holds(t *testing.T, r Route, us []float64) {
	t.Helper()
	if r.Calls != uint64(len(us)) || r.Timed != r.Calls {
		t.Errorf("%d calls, %d with times, want %d", r.Calls, r.Timed, len(us))
	}
	slices.Sort(us)
	for q, got := range map[float64]float64{0.5: r.Total.P50, 0.9: r.Total.P90, 0.99: r.Total.P99} {
		slack := 1 + int(0.001*float64(len(us))) // packing rounds weights
		rank := int(q * float64(len(us)-1))
		low, high := us[max(rank-slack, 0)]/1000, us[min(rank+slack, len(us)-1)]/1000
		if got < low*(1-sketch.Accuracy)-0.001 || got > high*(1+sketch.Accuracy)+0.001 {
			t.Errorf("quantile %v is %v ms, want %v to %v", q, got, low, high)
		}
	}
}

// TestSliding: a call is in a report for as long as that goes back, and then in none; a day later nothing is kept of it.
func TestSliding(t *testing.T) {
	f, clock := newFigures(t, 10)
	clock.set(noon.Add(3 * time.Minute))
	f.Take(exchange("orders"))
	calls := func(since time.Duration) (n uint64) {
		for _, r := range f.Report(Query{Since: since}).Routes {
			n += r.Calls
		}
		return n
	}
	for _, c := range []struct {
		later, since time.Duration
		want         uint64
	}{
		{0, time.Minute, 1},
		{0, 24 * time.Hour, 1},
		{2*time.Minute + time.Minute, time.Minute, 0}, // 12:06: from 12:05
		{2*time.Minute + time.Minute, 5 * time.Minute, 1},
		{time.Hour + time.Minute, time.Hour, 1}, // 13:04: from 12:04, whose bucket began at 12:00
		{time.Hour + 2*time.Minute, time.Hour, 0},
		{time.Hour + 2*time.Minute, 2 * time.Hour, 1},
		{24 * time.Hour, 24 * time.Hour, 1},
		{25 * time.Hour, 24 * time.Hour, 0},
	} {
		clock.set(noon.Add(3*time.Minute + c.later))
		if got := calls(c.since); got != c.want {
			t.Errorf("%v later, %v back: %d calls, want %d", c.later, c.since, got, c.want)
		}
	}
	clock.set(noon.Add(26 * time.Hour))
	f.Take(exchange("carts"))
	if len(f.fine.buckets) != 1 || len(f.hour.buckets) != 1 || f.Routes() != 1 {
		t.Errorf("%d and %d buckets, %d routes", len(f.fine.buckets), len(f.hour.buckets), f.Routes())
	}
}

// TestSpan: a report says from when to when its calls are.
func TestSpan(t *testing.T) {
	f, clock := newFigures(t, 10)
	clock.set(noon.Add(7 * time.Minute))
	r := f.Report(Query{Since: time.Hour})
	if !r.From.Equal(noon) || !r.To.Equal(clock.now()) {
		t.Errorf("%v to %v: it began at noon", r.From, r.To)
	}
	clock.set(noon.Add(3*time.Hour + 7*time.Minute))
	if r = f.Report(Query{Since: time.Hour}); !r.From.Equal(noon.Add(2*time.Hour + 5*time.Minute)) {
		t.Errorf("from %v", r.From)
	}
	if r = f.Report(Query{Since: 61 * time.Minute}); !r.From.Equal(noon.Add(2 * time.Hour)) {
		t.Errorf("from %v", r.From)
	}
	for since, want := range map[time.Duration]int{MinSince: 1, time.Hour: int(KeepFine), time.Hour + 1: 2, MaxSince: int(KeepHour)} {
		if got := Buckets(noon.Add(90*time.Second), since); len(got) != want {
			t.Errorf("%v: %d buckets, want %d", since, len(got), want)
		}
	}
}

// TestBounds: routes beyond the bound are Other's, buckets are as many as they may, and a route that had its day makes room.
func TestBounds(t *testing.T) {
	f, clock := newFigures(t, 3)
	for hour := range 30 {
		for i := range 5 {
			f.Take(exchange(fmt.Sprintf("r%d-%d", hour/30, i)))
		}
		f.Take(exchange(Other))
		clock.set(noon.Add(time.Duration(hour+1) * time.Hour))
	}
	if n := len(f.hour.buckets); n != int(KeepHour) {
		t.Errorf("%d hours", n)
	}
	r := f.Report(Query{Since: MaxSince})
	if len(r.Routes) != 4 || f.Routes() != 3 || f.Beyond() != 3*30 {
		t.Errorf("%d routes, %d known, %d calls beyond", len(r.Routes), f.Routes(), f.Beyond())
	}
	if other := routeOf(t, r, Other); other.Calls != 24*3 {
		t.Errorf("%d calls of others", other.Calls)
	}
	for _, b := range f.hour.buckets[:len(f.hour.buckets)-1] { // the last has been open until the last hour's end
		for route, c := range b.cells {
			if slices.Contains(f.hour.closing, c) {
				continue // calls pack it
			}
			if c.times != ([times]sketch.Sketch{}) || c.packed == nil {
				t.Fatalf("%d %s is not packed", b.start, route)
			}
		}
	}
	clock.advance(26 * time.Hour)
	for i := range 3 {
		f.Take(exchange(fmt.Sprintf("new-%d", i)))
	}
	if n := len(f.fine.closing) + len(f.hour.closing); n > 4 {
		t.Errorf("%d are not packed: the new ones are open", n)
	}
	if f.Beyond() != 3*30 || f.Routes() != 3 {
		t.Errorf("a day later: %d routes, %d calls beyond", f.Routes(), f.Beyond())
	}
}

// TestClockSetBack: by less than a bucket nothing happens; by more, what was counted in the future goes, and nothing else.
func TestClockSetBack(t *testing.T) {
	f, clock := newFigures(t, 3)
	f.Take(exchange("orders"))
	clock.set(noon.Add(-time.Second))
	f.Take(exchange("orders"))
	clock.set(noon)
	if got := routeOf(t, f.Report(Query{Since: time.Minute}), "orders").Calls; got != 2 {
		t.Errorf("%d calls", got)
	}
	clock.set(noon.Add(1000 * time.Hour)) // all that was is too old
	f.Take(exchange("carts"))
	clock.set(noon.Add(time.Hour))
	f.Take(exchange("orders"))
	if r := f.Report(Query{Since: MaxSince}); len(r.Routes) != 1 || routeOf(t, r, "orders").Calls != 1 {
		t.Errorf("%+v", r.Routes)
	}
	if len(f.fine.buckets) != 1 || len(f.hour.buckets) != 1 || f.Routes() != 1 {
		t.Errorf("%d and %d buckets, %d routes", len(f.fine.buckets), len(f.hour.buckets), f.Routes())
	}
}

// TestNames: what JSON and people can't have is not in a route's name.
func TestNames(t *testing.T) {
	long := make([]byte, 1000)
	for i := range long {
		long[i] = 0xff
	}
	f, _ := newFigures(t, 3)
	f.Take(exchange(string(long)))
	global := exchange("")
	global.Route.Global = true
	f.Take(global)
	r := f.Report(Query{Since: time.Hour})
	if len(r.Routes) != 2 || r.Routes[0].Route != "?" || r.Routes[1].Route != "global" {
		t.Errorf("%+v", r.Routes)
	}
}

// TestWhileCallsGoOn: reports and values can be had while calls are counted; each has whole calls.
func TestWhileCallsGoOn(t *testing.T) {
	f, clock := newFigures(t, 3)
	const n = 20_000
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range n {
			f.Take(exchange("orders"))
			if i%100 == 0 {
				clock.advance(time.Minute / 4)
			}
		}
	})
	for last := uint64(0); last < n; {
		r := f.Report(Query{Since: MaxSince})
		if len(r.Routes) == 0 {
			continue
		}
		got := r.Routes[0]
		if got.Calls < last || got.Request.Bytes != got.Calls*1104 || got.Timed != got.Calls {
			t.Fatalf("%+v after %d calls", got, last)
		}
		last = got.Calls
		f.Changed(StepFine, 0)
	}
	wg.Wait()
}
