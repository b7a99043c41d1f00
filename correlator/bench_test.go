package correlator_test

import (
	"testing"

	"fivetuple/correlator"
)

// keepAlive returns a function that plays a keep-alive connection's next call, and matches it.
func keepAlive(tb testing.TB) (next func(), last *correlator.Result) {
	tb.Helper()
	table, calls := manyConnections(1)
	call := calls[0]
	m := table.models[call.Key()]
	c := newCorrelator(tb, table)
	last = new(correlator.Result)
	return func() {
		*last = c.Match(m.now, call)
		m.tx(300)
		m.rx(200)
		call.Requests++
	}, last
}

func BenchmarkMatch(b *testing.B) {
	next, last := keepAlive(b)
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
