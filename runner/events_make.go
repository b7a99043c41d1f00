package main

import (
	"fivetuple/correlator"
	"fivetuple/correlator/baseline"
	"fivetuple/correlator/fleet"
	"fivetuple/correlator/signal"
)

// eventOfCall is told of a flagged call. Its peer's address leaves this host only where verdicts are shared, which are about
// addresses.
func eventOfCall(r *correlator.CallRecord, sharesVerdicts bool) fleet.Event {
	v := r.Facts.Verdict(signal.All)
	e := fleet.Event{
		Kind: fleet.KindCall, Route: r.Route.String(), Method: r.Method, Score: v.Score, Signals: v.Signals.String(),
		RequestID: r.RequestID.String(), Connection: r.Connection, Requests: r.Requests,
	}
	if sharesVerdicts {
		e.Address = r.Peer.Addr().Unmap()
	}
	return e
}

// eventOfSource is told of a source that was flagged here.
func eventOfSource(f *fleet.Flag, sharesVerdicts bool) fleet.Event {
	e := fleet.Event{Kind: fleet.KindSource, Score: f.Score, Signals: f.Known().String()}
	if sharesVerdicts {
		e.Address = f.Address
	}
	return e
}

// eventOfShift is told of a baseline that was replaced.
func eventOfShift(s *baseline.Shift) fleet.Event {
	return fleet.Event{Kind: fleet.KindBaselineShift, Route: s.Key.Route, Method: s.Key.Method}
}
