package correlator_test

import (
	"testing"

	"fivetuple/correlator"
	"fivetuple/correlator/baseline"
)

// keepAlive returns a function that plays a keep-alive connection's next call, and matches it.
func keepAlive(tb testing.TB, with *correlator.Judge) (next func(), last *correlator.Result) {
	tb.Helper()
	table, calls := manyConnections(1)
	call := calls[0]
	call.Route.Route, call.Method = "orders", "GET"
	m := table.models[call.Key()]
	c, err := correlator.New(table, testOptions(), func(*correlator.CallRecord) {}, with)
	if err != nil {
		tb.Fatal(err)
	}
	last = new(correlator.Result)
	return func() {
		*last = c.Match(m.now, call)
		m.tx(300)
		m.rx(200)
		call.Requests++
	}, last
}

// fullJudge has all that a judge can have.
func fullJudge() *correlator.Judge {
	sources := new(correlator.SourceList)
	list := map[[16]byte]correlator.SourceVerdict{}
	for i := range 1000 {
		list[[16]byte{1: byte(i), 2: byte(i >> 8)}] = correlator.SourceVerdict{Until: 1 << 63}
	}
	sources.Replace(list)
	return &correlator.Judge{Baselines: &forgetful{smallCalls()}, Sources: sources, FlagAbove: 0.8}
}

// forgetful learns nothing, and finds what is usual by its key.
type forgetful struct{ usual baseline.Usual }

func (f *forgetful) Usual(baseline.Key) *baseline.Usual              { return &f.usual }
func (*forgetful) Learn(uint64, baseline.Key, *baseline.Observation) {}

func BenchmarkMatch(b *testing.B) {
	next, last := keepAlive(b, nil)
	b.ReportAllocs()
	for b.Loop() {
		next()
	}
	if last.Match != correlator.MatchExchange {
		b.Fatal(describe(*last))
	}
}

func BenchmarkMatchParallel(b *testing.B) {
	table, calls := manyConnections(512)
	c := newCorrelator(b, table)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			c.Match(1_000_000_000, calls[i%len(calls)])
		}
	})
}

// BenchmarkMatchJudged is BenchmarkMatch with a judge: of a ready baseline, and of a list of 1,000 addresses.
func BenchmarkMatchJudged(b *testing.B) {
	next, last := keepAlive(b, fullJudge())
	b.ReportAllocs()
	for b.Loop() {
		next()
	}
	if last.Match != correlator.MatchExchange || !last.Judged {
		b.Fatal(describe(*last))
	}
}
