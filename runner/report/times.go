package report

import (
	"time"

	"fivetuple/correlator"
	"fivetuple/correlator/sketch"
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

// sketches are of the times; one to which nothing was added is none.
type sketches [times]sketch.Sketch

// has says whether anything was added to one.
func (s *sketches) has(i int) bool { return s[i].DDSketch != nil }

// at returns a sketch to add to.
func (s *sketches) at(i int) sketch.Sketch {
	if !s.has(i) {
		s[i] = sketch.New()
	}
	return s[i]
}

// merge adds what was packed, and has been checked.
func (s *sketches) merge(all *[times]sketch.Packed) {
	for i, p := range all {
		if len(p) > 0 {
			_ = s.at(i).Merge(p)
		}
	}
}
