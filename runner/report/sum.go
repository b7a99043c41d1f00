package report

import (
	"math"

	"fivetuple/correlator"
	"fivetuple/correlator/sketch"
)

// total merges a route's values of several buckets and gateways.
type total struct {
	Counts
	times sketches // none: no value had any
}

// add merges a value whose sketches have been checked.
func (t *total) add(v *Value) {
	t.merge(&v.Counts)
	t.times.merge(&v.Times)
}

// route returns what a report says.
func (t *total) route(id string) Route {
	r := Route{
		Route: id, Calls: t.Calls, Matches: matchesOf(&t.Counts), Cut: t.Cut, Timed: t.Timed,
		Request: trafficOf(&t.Request), Answer: trafficOf(&t.Response), Flagged: t.Flagged, Flags: t.Flags,
	}
	if t.Calls > 0 {
		r.ExactShare = float64(t.Match[correlator.MatchExchange]) / float64(t.Calls)
	}
	for i, into := range [times]**Quantiles{
		timeTotal: &r.Total, timeNetwork: &r.Network, timeArriving: &r.Arriving,
		timeWait: &r.Wait, timeUpstream: &r.Upstream, timeResponse: &r.Response,
	} {
		if t.times.has(i) {
			*into = quantilesOf(t.times[i])
		}
	}
	return r
}

func quantilesOf(s sketch.Sketch) *Quantiles {
	us, ok := s.Quantiles(0.5, 0.9, 0.99)
	if !ok {
		return nil
	}
	return &Quantiles{P50: ms(us[0]), P90: ms(us[1]), P99: ms(us[2])}
}

// ms returns microseconds as milliseconds, to a whole microsecond: more would say more than is known.
func ms(us float64) float64 { return math.Round(us) / 1000 }
