package main

import (
	"github.com/rs/zerolog"

	"fivetuple/correlator"
	"fivetuple/correlator/fleet"
	"fivetuple/correlator/flow"
)

// sharedVerdicts tells the fleet what this host holds against sources, and brings back what counts of what others hold.
type sharedVerdicts struct {
	board *fleet.Board
	// moment returns the kernel's time with Redis'; its Redis is 0 while that is not known.
	moment func(now uint64) fleet.Moment
	// tell has a publication written. It does not wait.
	tell func(fleet.Publication)
	log  zerolog.Logger
}

// pass is told what this host's table holds, which must not be changed any more, and adds to the list of what counts. A word
// of the fleet never takes the place of a local one but by a higher score.
func (s *sharedVerdicts) pass(now uint64, table fleet.Table, list map[[16]byte]correlator.SourceVerdict) {
	publication, err := s.board.Own(s.moment(now), table)
	if err != nil {
		s.log.Error().Err(err).Msg("flags are not told to other gateways")
	}
	s.tell(publication)
	s.board.List(now, func(address [16]byte, c fleet.Counted) {
		list[address] = correlator.SourceVerdict{Verdict: c.Verdict, Until: c.Until, Origin: flow.OriginFleet, Observed: c.Observed}
	})
}
