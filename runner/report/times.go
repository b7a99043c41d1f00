package report

import (
	"time"

	"fivetuple/correlator"
)

// The times of a call that quantiles are kept of, in the order that they have in values. They are those of correlator.Split.
const (
	timeTotal    = iota
	timeNetwork  // Network
	timeArriving // Arriving
	timeWait     // Waiting
	timeUpstream // Serving: the gateway's own time is among it
	timeResponse // Leaving
	times        // how many there are
)

// maxTime is where times are cut.
const maxTime = time.Hour

// hasTimes says whether a call's times are its own, and seen to their end.
func hasTimes(r *correlator.CallRecord) bool {
	return r.Match == correlator.MatchExchange && !r.Cut && r.Split.Total != 0
}

// timesOf returns a call's times in whole microseconds: fractions of the shortest would take most of a sketch's bins.
func timesOf(s *correlator.Split) (us [times]float64) {
	for i, ns := range [times]uint64{
		timeTotal: s.Total, timeNetwork: s.Network, timeArriving: s.Arriving,
		timeWait: s.Waiting, timeUpstream: s.Serving, timeResponse: s.Leaving,
	} {
		us[i] = float64((min(ns, uint64(maxTime)) + 500) / 1000)
	}
	return us
}
