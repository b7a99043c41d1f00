package share

import (
	"context"
	"errors"
	"time"

	"fivetuple/correlator/fleet"
	"fivetuple/correlator/store"
)

// changesFor is how long a change that could not be published is of any use: the whole list is told every 30 s.
const changesFor = 10 * time.Second

// Board is what all gateways hold against sources. Whoever reads this host's table tells it, by Own, and has Tell carry what
// Own returns.
func (s *Share) Board() *fleet.Board { return s.board }

// Moment returns the kernel's time with Redis'; its Redis is 0 while that is not known.
func (s *Share) Moment(now uint64) fleet.Moment {
	m := fleet.Moment{Kernel: now}
	if s.link.Counts().ClockKnown {
		m.Redis = s.link.Clock.Now()
	}
	return m
}

// Tell carries a publication to the others.
func (s *Share) Tell(p fleet.Publication) {
	self := s.options.Fleet.Gateway
	if p.Whole != nil {
		s.link.Writer.Set(s.keys.Flags(self), p.Whole, fleet.FlagsTTL)
	}
	if p.Changes != nil {
		s.link.Writer.Publish(s.keys.Channel(self), p.Changes, changesFor)
	}
}

// SharesVerdicts says whether what is held against addresses may leave this host.
func (s *Share) SharesVerdicts() bool { return s.options.Fleet.SharedVerdicts != fleet.VerdictsOff }

// readAllRest is the least time from the end of a reading of all lists to the next, so that a connection that is lost over and over does
// not make the same work over and over. What is missed meanwhile is read then.
const readAllRest = time.Second

// hear takes what others publish, and reads their lists where something was missed, until the context is done.
func (s *Share) hear(ctx context.Context) {
	if !s.SharesVerdicts() {
		return
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	again, isBehind := s.link.Subscriber.Again(), false
	var rest <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case h := <-s.link.Subscriber.Heard():
			s.take(h.Gateway, h.Payload, false)
		case <-again:
			isBehind = true
		case <-rest:
			again, rest = s.link.Subscriber.Again(), nil
		case <-tick.C:
			if !isBehind {
				s.readMissed(ctx)
			}
		}
		if isBehind && rest == nil {
			isBehind = s.readAllFlags(ctx) != nil
			again, rest = nil, time.After(readAllRest) // a token that comes meanwhile waits
		}
	}
}

// readMissed reads the lists of those whose words were missed; where that fails, they are named again.
func (s *Share) readMissed(ctx context.Context) {
	for _, gateway := range s.link.Subscriber.Missed() {
		s.board.Missed(gateway, s.Now())
	}
	if behind := s.board.Behind(s.Now()); len(behind) > 0 {
		_ = each(ctx, s.link.Reader, behind, s.keys.Flags, fleet.MaxFlags, s.takeList)
	}
}

func (s *Share) take(gateway string, value []byte, isWhole bool) {
	err := s.board.Hear(gateway, value, isWhole, s.Moment(s.Now()))
	switch {
	case errors.Is(err, fleet.ErrVersion):
		s.link.Meter.Skipped(store.SkipVersion)
	case errors.Is(err, fleet.ErrDamaged):
		s.link.Meter.Skipped(store.SkipDamaged)
	}
	if err != nil {
		s.Log.Debug().Err(err).Str("from", gateway).Msg("flags are passed over")
	}
}

// errNoClock means that lists cannot be understood yet.
var errNoClock = errors.New("the clock of Redis is not known yet")

func (s *Share) readAllFlags(ctx context.Context) error {
	if !s.link.Counts().ClockKnown {
		return errNoClock
	}
	seen, _, err := s.link.Reader.Gateways(ctx)
	if err != nil {
		return err
	}
	return each(ctx, s.link.Reader, namesOf(seen), s.keys.Flags, fleet.MaxFlags, s.takeList)
}

func (s *Share) takeList(gateway string, value []byte) { s.take(gateway, value, true) }
