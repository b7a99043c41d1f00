package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"fivetuple/plugins"
)

// guard are the answers of packet-guard, read at each scrape.
type guard struct {
	counters *plugins.Counters
	calls    *prometheus.Desc
}

func newGuard(c *plugins.Counters) *guard {
	return &guard{counters: c, calls: prometheus.NewDesc(prometheus.BuildFQName(namespace, "", "guard_calls_total"),
		"Calls on which packet-guard ran, by what it made of them: refused, observed (it would have), exempt (but for the address), passed.",
		[]string{"route", "answer"}, nil)}
}

// Describe implements prometheus.Collector.
func (g *guard) Describe(to chan<- *prometheus.Desc) { to <- g.calls }

// Collect implements prometheus.Collector. Routes that make the same label are one.
func (g *guard) Collect(to chan<- prometheus.Metric) {
	sums := map[string][plugins.GuardAnswers]uint64{}
	g.counters.Guard(func(route string, answers [plugins.GuardAnswers]uint64) {
		sum := sums[label(route)]
		for a, n := range answers {
			sum[a] += n
		}
		sums[label(route)] = sum
	})
	for route, answers := range sums {
		for a, n := range answers {
			to <- prometheus.MustNewConstMetric(g.calls, prometheus.CounterValue, float64(n), route, plugins.GuardAnswer(a).String())
		}
	}
}
