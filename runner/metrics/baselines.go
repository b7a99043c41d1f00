package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"fivetuple/correlator/baseline"
)

// RegisterBaselines registers what was learned, and what was not.
func RegisterBaselines(registry prometheus.Registerer, counters func() baseline.Counters) {
	for _, c := range []struct {
		name, help string
		count      func(baseline.Counters) uint64
	}{
		{"baseline_calls_learned_total", "Calls that baselines took.", func(c baseline.Counters) uint64 { return c.Learned }},
		{"baseline_calls_abnormal_total", "Calls that were flagged, and so taught nothing.", func(c baseline.Counters) uint64 { return c.Abnormal }},
		{"baseline_calls_capped_total", "Calls that taught nothing, because their source had its share.", func(c baseline.Counters) uint64 { return c.Capped }},
		{"baseline_calls_shared_total", "Calls of routes and methods beyond the bound, which share one baseline.", func(c baseline.Counters) uint64 { return c.Shared }},
		{"baseline_evicted_total", "Baselines that made room for others.", func(c baseline.Counters) uint64 { return c.Evicted }},
		{"baseline_windows_total", "Windows that were closed.", func(c baseline.Counters) uint64 { return c.Windows }},
		{"baseline_windows_thin_total", "Windows that taught nothing, because too few of their calls were normal.", func(c baseline.Counters) uint64 { return c.Thin }},
		{"baseline_shifts_total", "Baselines that were replaced, because most calls had changed.", func(c baseline.Counters) uint64 { return c.Shifts }},
		{"baseline_saves_total", "Times that the baselines were written.", func(c baseline.Counters) uint64 { return c.Saves }},
		{"baseline_published_total", "Windows that other gateways were told of.", func(c baseline.Counters) uint64 { return c.Published }},
		{"baseline_unpublished_total", "Windows that nobody took to tell others in time.", func(c baseline.Counters) uint64 { return c.Unpublished }},
		{"baseline_merged_total", "Windows of other gateways that were taken.", func(c baseline.Counters) uint64 { return c.Merged }},
	} {
		registry.MustRegister(counterFunc(c.name, c.help, nil, func() uint64 { return c.count(counters()) }))
	}
	registry.MustRegister(
		gaugeFunc("baselines", "Pairs of route and method with a baseline of their own.", nil, func() float64 { return float64(counters().Keys) }),
		gaugeFunc("baselines_ready", "Baselines that have enough calls for a verdict.", nil, func() float64 { return float64(counters().Ready) }),
	)
}
