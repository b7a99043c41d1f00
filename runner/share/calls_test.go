//go:build linux

package share_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"fivetuple/correlator"
	"fivetuple/correlator/baseline"
	"fivetuple/correlator/flow"
	"fivetuple/correlator/sketch"
	"fivetuple/runner/report"
	"fivetuple/runner/share"
)

// sources are so many that their first window is closed as soon as it has enough calls, and that none has more than its share.
const sources = 1000

func get(route string) baseline.Key { return baseline.Key{Route: route, Method: "GET"} }

// learn has a gateway learn calls of a route that take some microseconds each, from many sources, and closes their window if they
// are the first that are enough.
func (g *gateway) learn(route string, us ...float64) {
	for i, x := range us {
		o := baseline.Observation{Source: source(i % sources)}
		for q := range o.Values {
			o.Values[q] = x
		}
		g.Baselines.Learn(g.now(), get(route), &o)
	}
	g.Baselines.Rotate(g.now())
}

// source returns an IPv4 address, v4-mapped.
func source(i int) (a [16]byte) {
	a[10], a[11] = 0xff, 0xff
	binary.BigEndian.PutUint32(a[12:], 10<<24|uint32(i))
	return a
}

// usual returns what is usual for how long the calls of a route take.
func (g *gateway) usual(route string) (r baseline.Range, ok bool) {
	u := g.Baselines.Usual(get(route))
	return u.Quantities[baseline.Response], u.Ready
}

// awaitWarm calls a route once in a while, as clients do, until there is a verdict. Own calls are too few for one.
func (g *gateway) awaitWarm(route string) baseline.Range {
	g.t.Helper()
	var last time.Time
	g.await("what is usual for "+route+" on "+g.name, func() bool {
		if time.Since(last) > time.Second {
			g.learn(route, 20_000)
			last = time.Now()
		}
		_, ok := g.usual(route)
		return ok
	})
	r, _ := g.usual(route)
	return r
}

// around returns n durations that scatter around a median, in microseconds.
func around(random *rand.Rand, n int, median float64) []float64 {
	us := make([]float64, n)
	for i := range us {
		us[i] = math.Round(median * math.Exp(0.5*random.NormFloat64()))
	}
	return us
}

// take counts finished calls of a route.
func (g *gateway) take(route string, us ...float64) {
	for _, x := range us {
		r := &correlator.CallRecord{
			Match:    correlator.MatchExchange,
			Request:  correlator.Traffic{Span: flow.Span{Packets: 2, Bytes: 1104, Payload: 1000, Length: 1000}},
			Response: correlator.Traffic{Span: flow.Span{Packets: 5, Bytes: 6260, Payload: 6000, Length: 6000}},
			Split:    correlator.Split{Serving: uint64(x) * 1000, Total: uint64(x) * 1000},
		}
		r.Route.Route = route
		g.Figures.Take(r)
	}
}

// lookAt returns what commands read with.
func lookAt(t testing.TB, s settings) *share.Look {
	t.Helper()
	l, err := share.NewLook(t.Context(), s.Options, zerologNop)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// collect returns the report of a fleet's last hour.
func collect(t testing.TB, l *share.Look) report.Report {
	t.Helper()
	r, err := report.Collect(t.Context(), report.Query{Since: time.Hour}, l.Now(), l)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// of returns what a report has of a route; the zero Route: nothing.
func of(r report.Report, route string) report.Route {
	for _, one := range r.Routes {
		if one.Route == route {
			return one
		}
	}
	return report.Route{}
}

// wantQuantile wants a quantile of values, in their unit, within the sketch's accuracy and what rounding makes of ranks.
func wantQuantile(t testing.TB, what string, got, at float64, values []float64) {
	t.Helper()
	sorted := slices.Sorted(slices.Values(values))
	rank := at * float64(len(sorted)-1)
	const slack = 1 // packed weights are rounded
	low, high := sorted[max(int(math.Floor(rank))-slack, 0)], sorted[min(int(math.Ceil(rank))+slack, len(sorted)-1)]
	exact := sorted[int(rank)]
	t.Logf("%s: quantile %v is %v, exact %v: %+.2f %%", what, at, got, exact, 100*(got/exact-1))
	if got < low*(1-sketch.Accuracy) || got > high*(1+sketch.Accuracy) {
		t.Errorf("%s: quantile %v is %v, want %v..%v within %v", what, at, got, low, high, sketch.Accuracy)
	}
}
