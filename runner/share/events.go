package share

import (
	"fivetuple/correlator/fleet"
	"fivetuple/correlator/store"
)

// maxEvents is how many events a gateway's stream keeps, about.
const maxEvents = 10_000

// Event adds to this gateway's stream of events.
func (s *Share) Event(e fleet.Event) {
	value, err := e.Encode()
	if err != nil {
		s.Log.Error().Err(err).Msg("an event is not told")
		return
	}
	s.link.Writer.XAdd(s.keys.Events(s.options.Fleet.Gateway), maxEvents, fleet.EventField, value, store.MaxTTL)
}
