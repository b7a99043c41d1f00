package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"fivetuple/correlator"
	"fivetuple/correlator/fleet"
)

// RegisterSharedVerdicts registers what gateways hold against sources together, and the calls that it was about.
func RegisterSharedVerdicts(registry prometheus.Registerer, board func() fleet.Counts, calls func() correlator.SourceCounts) {
	for _, c := range []struct {
		name, help string
		count      func(fleet.Counts) uint64
	}{
		{"fleet_flags_told_total", "Changes of this gateway's flags that others were told.", func(c fleet.Counts) uint64 { return c.Told }},
		{"fleet_flags_heard_total", "Lists and changes of other gateways' flags that were heard.", func(c fleet.Counts) uint64 { return c.Heard }},
		{"fleet_flags_missed_total", "Times that changes of another gateway's flags were missed, so that its list was to be read.", func(c fleet.Counts) uint64 { return c.Missed }},
		{"fleet_flags_unknown_version_total", "Values of flags that were skipped, because their version is unknown.", func(c fleet.Counts) uint64 { return c.Unknown }},
		{"fleet_flags_damaged_total", "Values of flags that were skipped, because they are not what a gateway writes.", func(c fleet.Counts) uint64 { return c.Damaged }},
		{"fleet_flags_refused_total", "Other gateways' flags for which there was no room.", func(c fleet.Counts) uint64 { return c.Refused }},
	} {
		registry.MustRegister(counterFunc(c.name, c.help, nil, func() uint64 { return c.count(board()) }))
	}
	for _, g := range []struct {
		name, help string
		value      func(fleet.Counts) int
	}{
		{"fleet_flags_gateways", "Other gateways that were heard of flags.", func(c fleet.Counts) int { return c.Gateways }},
		{"fleet_flags_sources", "Addresses that other gateways hold flagged.", func(c fleet.Counts) int { return c.Sources }},
		{"fleet_flags_sources_counting", "Addresses against which the fleet's word counts here, or would if it were enforced.", func(c fleet.Counts) int { return c.Listed }},
		{"fleet_flags_untold", "Flags of this gateway that are not told to others, because there are too many.", func(c fleet.Counts) int { return c.Unpublished }},
	} {
		registry.MustRegister(gaugeFunc(g.name, g.help, nil, func() float64 { return float64(g.value(board())) }))
	}
	registry.MustRegister(
		counterFunc("fleet_calls_total", "Calls against which the fleet's word on their source was held.", nil, func() uint64 { return calls().Fleet }),
		counterFunc("fleet_calls_observed_total", "Calls against which the fleet's word on their source would have been held.", nil, func() uint64 { return calls().Observed }),
	)
}
