package share

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"fivetuple/correlator/baseline"
	"fivetuple/correlator/fleet"
	"fivetuple/correlator/store"
	"fivetuple/runner/report"
)

const (
	// every is how often it is looked for something to tell or to ask.
	every = time.Second
	// tellAtOnce is how many windows or figures are handed to the writer each time, at most.
	tellAtOnce = 256
	// endTime is how long the last words may take.
	endTime = 500 * time.Millisecond
)

// Options say which fleet this is, and how it is reached.
type Options struct {
	Redis   store.Options
	Fleet   fleet.Options
	Version string // of this program
}

// Parts are what is shared.
type Parts struct {
	Baselines *baseline.Baselines
	Learning  baseline.Options // of the baselines
	Figures   *report.Figures
	Now       func() uint64 // CLOCK_MONOTONIC nanoseconds
	Log       zerolog.Logger
}

// Share is this gateway's part in the fleet. Its methods never wait for the network.
type Share struct {
	Parts
	options Options
	keys    fleet.Keys
	client  io.Closer
	link    *store.Link
	board   *fleet.Board
	who     who
	peers   peers
	figures figures
	noticed noticed
	voice   voice
	ended   chan struct{}
}

// Open makes the parts, and connects to nobody yet. It fails where the settings are wrong, or name a file that cannot be read.
func Open(o Options, p Parts) (*Share, error) {
	client, err := store.Dial(o.Redis, p.Log)
	if err != nil {
		return nil, err
	}
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails
	s := &Share{
		Parts: p, options: o, keys: fleet.NewKeys(o.Fleet.Name, o.Fleet.Spread), client: client,
		who: who{instance: fleet.NewInstance(random)}, voice: newVoice(), ended: make(chan struct{}),
	}
	if s.board, err = fleet.NewBoard(o.Fleet, s.who.instance); err != nil {
		return nil, fmt.Errorf("join fleet %s: %w", o.Fleet.Name, err)
	}
	s.board.SetLocal(localAddresses())
	meter := &store.Meter{OnPanic: func(cause, stack string) {
		p.Log.Error().Str("cause", cause).Str("stack", stack).Msg("failed to handle an answer of Redis: calls go on, and it is tried again; the next such failures are only counted")
	}}
	meter.Attach(client)
	s.link = store.NewLink(client, meter, store.Settings{
		Keys: s.keys, Gateway: o.Fleet.Gateway, Queue: o.Redis.Queue, Who: store.Who{Value: s.sayWho, IsOurs: s.who.isOurs},
	})
	if o.Fleet.Baselines {
		p.Baselines.Share(o.Fleet.GatewayShare)
	}
	return s, nil
}

// localAddresses returns those of this host, as far as it has any yet.
func localAddresses() (local []netip.Addr) {
	all, _ := net.InterfaceAddrs() // none is no reason not to share
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			local = append(local, p.Addr())
		}
	}
	return local
}

// Counts returns what was counted of Redis.
func (s *Share) Counts() store.Counts { return s.link.Counts() }

// BoardCounts returns what was counted of what gateways hold flagged.
func (s *Share) BoardCounts() fleet.Counts { return s.board.Counts() }

// Run hears the others until the context is done, says its last words, and returns. What it says besides is between Speak and Yield.
func (s *Share) Run(ctx context.Context) {
	defer close(s.ended)
	s.Log.Info().Str("fleet", s.options.Fleet.Name).Str("gateway", s.options.Fleet.Gateway).Strs("redis", s.options.Redis.Addresses).
		Str("mode", s.options.Redis.Mode).Str("shared_verdicts", s.options.Fleet.SharedVerdicts).Msg("sharing with other gateways")
	link, stop := context.WithCancel(context.WithoutCancel(ctx))
	var parts sync.WaitGroup
	for _, run := range []func(context.Context){s.link.Run, s.hear, s.ask, s.present} {
		parts.Go(func() { s.link.Meter.Survive(link, run) })
	}
	if s.tell(ctx) {
		s.sayLast(link)
	}
	stop()
	parts.Wait()
	_ = s.client.Close() // nothing waits for it
}

// Wait waits until Run has returned.
func (s *Share) Wait() { <-s.ended }

// tell says once a second what there is to say, until the context is done. It returns false if nothing was ever to be said.
func (s *Share) tell(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-s.voice.speaks:
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	s.Baselines.Republish(s.Now()) // those of the file
	yields := s.voice.yields
	for {
		if yields != nil {
			s.tellBaselines()
			s.notice()
		}
		s.tellFigures(ctx)
		select {
		case <-ctx.Done():
			if yields != nil {
				s.tellBaselines()
			}
			return true
		case <-yields:
			yields = nil
			s.tellBaselines()
			s.tellAllFigures()
		case <-s.link.Presence.Lost():
			s.Log.Info().Msg("Redis may have lost what it had: telling everything anew")
			s.Baselines.Republish(s.Now())
			s.board.Repeat()
			s.figures.again()
		case <-tick.C:
		}
	}
}

// errAway means that there is no Redis to say one's last words to.
var errAway = errors.New("away: nothing waits for it")

// sayLast says what has changed, and waits until it has arrived, unless Redis is known to be away.
func (s *Share) sayLast(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, endTime)
	defer cancel()
	err := errAway
	if c := s.link.Counts(); c.Up || c.LastError == "" {
		s.tellLastFigures(ctx)
		err = s.link.Writer.Flush(ctx)
	}
	if err != nil {
		s.Log.Warn().Err(err).Int64("writes", s.link.Counts().Waiting).Msg("the last words did not all reach Redis")
	}
}

// atOnce is tellAtOnce, or less where the writer's queue is short: what is told at once has to fit in. While much waits there, what
// is not told yet stays where it is, so that nothing of it is dropped.
func (s *Share) atOnce() int {
	if s.link.Counts().Waiting > int64(s.options.Redis.Queue/2) {
		return 0
	}
	return min(tellAtOnce, s.options.Redis.Queue/4)
}
