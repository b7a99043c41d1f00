package store

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"fivetuple/correlator/fleet"
)

const (
	// pingEvery, and silence for maxPings of them, tell a connection on which nothing comes from one that leads nowhere: nothing else
	// would, for a quarter of an hour, where packets are dropped.
	pingEvery = 2 * time.Second
	maxPings  = 3
)

// Heard is what another gateway has published.
type Heard struct {
	Gateway string // by the channel's name
	Payload []byte // at most MaxValue bytes
}

// Subscriber hears what other gateways publish.
type Subscriber struct {
	client redis.UniversalClient
	keys   fleet.Keys
	self   string
	meter  *Meter
	roster *roster
	inbox  *inbox
	heard  chan Heard
	again  chan struct{}
	anew   chan struct{}

	pingEvery time.Duration
}

func newSubscriber(client redis.UniversalClient, m *Meter, keys fleet.Keys, self string, r *roster) *Subscriber {
	return &Subscriber{
		client: client, keys: keys, self: self, meter: m, roster: r,
		inbox: newInbox(), heard: make(chan Heard), again: make(chan struct{}, 1), anew: make(chan struct{}, 1), pingEvery: pingEvery,
	}
}

// Heard returns what is published, but for what this gateway itself does. If nobody takes it, 1,024 messages wait, of one gateway 16 and
// 1 MiB; the rest is counted as Unheard, and Missed names its gateways.
func (s *Subscriber) Heard() <-chan Heard { return s.heard }

// Missed returns the gateways of which something was left out since it was asked last: what they have has to be read. It is to be asked
// once a second or so.
func (s *Subscriber) Missed() []string { return s.inbox.takeMissed() }

// Again says, by a token, that something of anybody may not have been heard: the subscription has just begun, or Missed would be too long.
// What all have has to be read.
func (s *Subscriber) Again() <-chan struct{} { return s.again }

// Reconnect gives the connection up for another one: the server may be one that nobody publishes to any more.
func (s *Subscriber) Reconnect() { signal(s.anew) }

// Run listens until the context is done.
func (s *Subscriber) Run(ctx context.Context) {
	ctx, stop := context.WithCancel(ctx)
	var hands sync.WaitGroup
	defer hands.Wait()
	defer stop()
	hands.Go(func() { s.meter.Survive(ctx, func(ctx context.Context) { s.inbox.hand(ctx, s.heard) }) })
	for tries := 1; ctx.Err() == nil; tries++ {
		if s.listen(ctx) {
			tries = 1
		}
		pause(ctx, backoff(tries))
	}
}

// listen subscribes, hands on what comes until the connection is no good any more, and says whether it ever was.
func (s *Subscriber) listen(ctx context.Context) (isSubscribed bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	sub := s.client.PSubscribe(ctx)
	defer sub.Close() //nolint:errcheck // the library closes it once more when it gives up
	stop := context.AfterFunc(ctx, func() { _ = sub.Close() })
	defer stop()
	if err := sub.PSubscribe(ctx, s.keys.Channels()); err != nil {
		s.failed(ctx, err)
		return false
	}
	// By a subscription to its own channel a gateway is known to be connected (Reader.connected).
	if err := sub.Subscribe(ctx, s.keys.Channel(s.self)); err != nil {
		s.failed(ctx, err)
		return false
	}
	go func() {
		defer cancel()
		_ = s.meter.try(func() { s.keepAlive(ctx, sub) })
	}()
	for {
		// A time-out may have cut a message in two: it ends the connection like any other error.
		message, err := s.receive(ctx, sub)
		if isSubscribed && redis.IsPermissionError(err) {
			continue // an older ACL does not permit the own channel
		}
		if err != nil {
			s.failed(ctx, err)
			return isSubscribed
		}
		switch m := message.(type) {
		case *redis.Subscription:
			if isSubscribed || m.Kind != "psubscribe" {
				continue
			}
			isSubscribed = true
			s.meter.connected.Add(1)
			s.meter.answered(nil)
			signal(s.again)
		case *redis.Message:
			s.take(m)
		}
	}
}

// receive waits for a message.
func (s *Subscriber) receive(ctx context.Context, sub *redis.PubSub) (message any, err error) {
	panicked := s.meter.try(func() { message, err = sub.ReceiveTimeout(ctx, maxPings*s.pingEvery) })
	return message, cmp.Or(panicked, err)
}

func (s *Subscriber) failed(ctx context.Context, err error) {
	if ctx.Err() == nil {
		s.meter.answered(err)
	}
}

// keepAlive sends pings, whose answers are heard by listen, until the connection has to be replaced.
func (s *Subscriber) keepAlive(ctx context.Context, sub *redis.PubSub) {
	tick := time.NewTicker(s.pingEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.anew:
			return
		case <-tick.C:
			if sub.Ping(ctx) != nil {
				return
			}
		}
	}
}

// take hands a message on.
func (s *Subscriber) take(m *redis.Message) {
	gateway, ok := s.keys.Writer(m.Channel)
	switch {
	case !ok:
		s.meter.Skipped(SkipForeign)
		return
	case gateway == s.self:
		return
	case len(m.Payload) > MaxValue:
		s.meter.Skipped(SkipTooLarge)
		return
	}
	s.roster.hear(gateway, time.Now())
	if m.Payload == "" { // a greeting
		return
	}
	isTaken, isNoted := s.inbox.put(Heard{gateway, []byte(m.Payload)})
	if isTaken {
		s.meter.heard.Add(1)
		return
	}
	s.meter.unheard.Add(1)
	if !isNoted {
		signal(s.again)
	}
}
