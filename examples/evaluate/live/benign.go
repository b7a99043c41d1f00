package live

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"fivetuple/examples/evaluate/fixed"
	"fivetuple/examples/evaluate/outcome"
	"fivetuple/examples/lab"
)

// Set is ordinary traffic that is played at once, each part of it from an address of its own.
type Set struct {
	Name     string
	Time     time.Duration
	road     *lab.Impairment // nil: a cable
	offloads bool
	parts    []part
}

// part is one kind of it.
type part struct {
	name, what string
	sources    int
	play       func(ctx context.Context, p *player, t *tally) error
}

// Benign lists the sets.
func Benign() []Set {
	return []Set{
		{
			Name: "live, good road", Time: 15 * time.Second, offloads: true,
			parts: []part{upload(), longPolling(), healthChecks(), sharedAddress()},
		},
		{Name: "live, restarts", Time: 12 * time.Second, offloads: true, parts: []part{restart()}},
		{
			Name: "live, mobile road", Time: 20 * time.Second, parts: []part{mobileClients()},
			// The share is drawn for each direction of each connection: 2 % in the mean.
			road: &lab.Impairment{Seed: 1, DelayMin: 290 * time.Millisecond, DelayMax: 310 * time.Millisecond, Jitter: 0.1, Loss: 0.04},
		},
	}
}

// Run plays a set on a stack of its own.
func (b *Set) Run(ctx context.Context, o Options) (results []outcome.Benign, err error) {
	s, err := newScene(ctx, o, b.road, b.offloads)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	capture, err := s.Capture(lab.CaptureOptions{})
	if err != nil {
		return nil, err
	}
	tallies := make([]tally, len(b.parts))
	players := make([]*player, len(b.parts))
	for i := range b.parts {
		if players[i], err = s.player(20 + i); err != nil {
			return nil, err
		}
	}
	begin := time.Now()
	playing, cancel := context.WithTimeout(ctx, b.Time)
	defer cancel()
	errs := make([]error, len(b.parts))
	var wg sync.WaitGroup
	for i, part := range b.parts {
		wg.Go(func() {
			if err := part.play(playing, players[i], &tallies[i]); err != nil {
				errs[i] = fmt.Errorf("%s: %w", part.name, err)
			}
		})
	}
	wg.Wait()
	took := time.Since(begin)
	if err := errors.Join(append(errs, ctx.Err(), s.end(), capture.Stop())...); err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name, err)
	}
	alarms := fixedAlarms(capture.Packets())
	for i, part := range b.parts {
		one, err := part.evaluate(s, players[i], &tallies[i], alarms, i == 0)
		if err != nil {
			return nil, err
		}
		one.Seconds = took.Seconds()
		results = append(results, one)
	}
	return results, nil
}

func fixedAlarms(packets []lab.Packet) []fixed.Alarm {
	meter := fixed.NewFrames()
	for _, p := range packets {
		if segment, err := lab.Decode(p); err == nil {
			feed(meter, p, segment)
		}
	}
	return meter.Alarms()
}

// evaluate takes the flags on a part's address; the first part answers for the listeners, too.
func (b *part) evaluate(s *scene, p *player, t *tally, alarms []fixed.Alarm, isFirst bool) (outcome.Benign, error) {
	result := outcome.Benign{
		Name: b.name, What: b.what, Where: outcome.Live, Sources: b.sources,
		Calls: int(t.calls.Load()), Refused: int(t.refused.Load()), Fixed: map[string]int{},
	}
	found, err := s.flags.list(func(f flagged) bool { return f.Address == p.address || isFirst && f.On == "listener" })
	for _, f := range found {
		result.Flag(f.On+": "+f.Signals, false)
	}
	for _, a := range alarms {
		if of := netip.AddrFrom16(a.Of).Unmap(); of == p.address || isFirst && a.Of == (fixed.Address{}) {
			result.Fixed[a.Limit.String()]++
		}
	}
	if failed := t.failed.Load(); failed > 0 {
		result.What += fmt.Sprintf("; %d calls without an answer", failed)
	}
	return result, err
}
