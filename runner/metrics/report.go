package metrics

import "github.com/prometheus/client_golang/prometheus"

// RegisterReport registers what the figures for reports tell apart, and what not.
func RegisterReport(registry prometheus.Registerer, routes func() int, beyond func() uint64) {
	registry.MustRegister(
		gaugeFunc("report_routes", "Routes that reports tell apart.", nil, func() float64 { return float64(routes()) }),
		counterFunc("report_overflow_total", "Calls that reports have under the route _other, because there are too many routes.", nil, beyond),
	)
}
