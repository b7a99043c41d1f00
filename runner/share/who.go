package share

import (
	"fmt"
	"time"

	"fivetuple/correlator/fleet"
	"fivetuple/correlator/store"
)

// noticeEvery is how often it is looked for gateways that should not be in this fleet, at some 10 ms for the most keys and gateways.
const noticeEvery = 15 * time.Second

// who is what this gateway says of itself.
type who struct {
	instance string
	started  int64 // milliseconds since 1970 in Redis' clock; 0: not known yet
}

func (w *who) isOurs(value []byte) bool {
	said, err := fleet.DecodeWho(value)
	return err == nil && said.Instance == w.instance
}

// sayWho is called at each beat, once Redis' clock is known or not.
func (s *Share) sayWho() []byte {
	c := s.link.Counts()
	if s.who.started == 0 {
		s.who.started = s.link.Clock.Now()
	}
	value, err := fleet.Who{
		Instance: s.who.instance, Version: s.options.Version, Started: s.who.started, Offset: c.ClockOffset.Milliseconds(),
		Window: s.Learning.Window.Milliseconds(), Routes: s.Baselines.Counters().Keys, SharedVerdicts: s.options.Fleet.SharedVerdicts,
	}.Encode()
	if err != nil {
		s.Log.Error().Err(err).Msg("this gateway cannot say who it is")
	}
	return value
}

// noticed is what was told about others, so that it is told once.
type noticed struct {
	isDown    bool
	downAt    time.Time
	lastError string
	namesake  bool
	strangers map[string]bool
	at        time.Time
}

// noticeRedis tells that Redis is away, why, and that it is back.
func (s *Share) noticeRedis(c *store.Counts) {
	n := &s.noticed
	switch {
	case !c.Up && c.LastError != "" && c.LastError != n.lastError && time.Since(n.downAt) >= noticeEvery: // a text may have a port that changes
		n.isDown, n.lastError, n.downAt = true, c.LastError, time.Now()
		s.Log.Warn().Str("why", c.LastError).Msg("Redis is not to be used; calls go on, and it is tried again")
	case c.Up && n.isDown:
		n.isDown, n.lastError = false, ""
		s.Log.Info().Uint64("dropped", c.Dropped).Msg("Redis is to be used again")
	}
}

// notice tells of another gateway with this one's name, and of gateways whose routes are others.
func (s *Share) notice() {
	n := &s.noticed
	counts := s.link.Counts()
	s.noticeRedis(&counts)
	if there := counts.NamesakeThere; there != n.namesake {
		n.namesake = there
		if there {
			s.Log.Error().Str("event", string(fleet.KindSameID)).Str("gateway", s.options.Fleet.Gateway).
				Msg("another gateway has this one's name (fleet.gateway): each writes over what the other has said")
			s.Event(fleet.Event{Kind: fleet.KindSameID})
		}
	}
	if time.Since(n.at) < noticeEvery {
		return
	}
	n.at = time.Now()
	there := map[string]bool{}
	for _, stranger := range s.Baselines.Strangers() {
		there[stranger.Gateway] = true
		if n.strangers[stranger.Gateway] {
			continue
		}
		s.Log.Warn().Str("event", string(fleet.KindStrangers)).Str("gateway", stranger.Gateway).
			Str("apart", fmt.Sprintf("%d of %d", stranger.Apart, stranger.Keys)).
			Msg("another gateway's calls of the same routes are of another kind: two fleets may have one name (fleet.name)")
		s.Event(fleet.Event{Kind: fleet.KindStrangers, Peer: stranger.Gateway})
	}
	n.strangers = there
}
