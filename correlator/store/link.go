package store

import (
	"context"
	"sync"

	"github.com/redis/go-redis/v9"

	"fivetuple/correlator/fleet"
)

// Settings are a gateway's part in its fleet.
type Settings struct {
	Keys    fleet.Keys
	Gateway string // fleet.ValidName
	Queue   int    // Options.Queue
	Who     Who
}

// Link is what connects a gateway with its fleet.
type Link struct {
	Writer     *Writer
	Subscriber *Subscriber
	Reader     *Reader
	Clock      *Clock
	Presence   *Presence
	Meter      *Meter
}

// NewLink makes the parts. Nothing is sent before Run.
func NewLink(client redis.UniversalClient, m *Meter, s Settings) *Link {
	heard := new(roster)
	l := &Link{
		Writer:     NewWriter(client, m, s.Queue),
		Subscriber: newSubscriber(client, m, s.Keys, s.Gateway, heard),
		Clock:      NewClock(client, m, s.Keys),
		Meter:      m,
	}
	l.Reader = NewReader(client, m, s.Keys, l.Clock)
	l.Reader.roster, l.Reader.checks = heard, checkedAtOnce
	l.Presence = newPresence(client, m, s.Keys, s.Gateway, s.Who, l.Clock)
	l.Presence.onLost = l.Subscriber.Reconnect
	return l
}

// Run runs the parts until the context is done, and returns when all have ended: but for Presence, which is for as long as this process
// has the gateway's place.
func (l *Link) Run(ctx context.Context) {
	var parts sync.WaitGroup
	for _, run := range []func(context.Context){l.Writer.Run, l.Subscriber.Run, l.Clock.Run} {
		parts.Go(func() { l.Meter.Survive(ctx, run) })
	}
	parts.Wait()
}

// Counts returns what was counted.
func (l *Link) Counts() Counts { return l.Meter.Counts() }
