package live

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"fivetuple/correlator/flow"
	"fivetuple/examples/evaluate/fixed"
	"fivetuple/examples/evaluate/outcome"
	"fivetuple/examples/lab"
)

// Attack is one that can be played.
type Attack struct {
	Name, Kind, Rate, Twin string
	Sources                int
	// Time is how long it lasts, if it is not found before.
	Time time.Duration
	play func(ctx context.Context, s *scene, attacker *player) error
}

// Attacks lists them.
func Attacks() []Attack {
	return slices.Concat(slow(), floods(), packets())
}

const (
	// before is how long honest clients call before an attack, and after is how long an attack goes on when it was found.
	before = 3 * time.Second
	after  = 2 * time.Second
	// honestClients is how many connections they keep.
	honestClients = 6
	// Last bytes of the addresses of those who play.
	honestNumber, attackerNumber = 10, 66
)

// Run plays an attack on a stack of its own.
func (a *Attack) Run(ctx context.Context, o Options) (result outcome.Attack, err error) {
	s, err := newScene(ctx, o, nil, false)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	honest, err := s.player(honestNumber)
	if err != nil {
		return result, err
	}
	attacker, err := s.player(attackerNumber)
	if err != nil {
		return result, err
	}
	capture, err := s.Capture(lab.CaptureOptions{})
	if err != nil {
		return result, err
	}
	var t tally
	calm, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	wg.Go(func() { honest.honest(calm, &t, honestClients) })
	pause(ctx, before)
	attackErr := a.attack(ctx, s, attacker, honest)
	stop()
	wg.Wait()
	if err := errors.Join(ctx.Err(), attackErr, s.end(), capture.Stop()); err != nil {
		return result, fmt.Errorf("%s: %w", a.Name, err)
	}
	return a.evaluate(s, capture.Packets(), honest, &t)
}

// attack plays until it is found, and a little longer, or to its end.
func (a *Attack) attack(ctx context.Context, s *scene, attacker, honest *player) error {
	ctx, cancel := context.WithTimeout(ctx, a.Time)
	defer cancel()
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		err = a.play(ctx, s, attacker)
	}()
	for ctx.Err() == nil {
		pause(ctx, lookEvery)
		if found, _ := s.flags.list(isNot(honest.address)); len(found) > 0 {
			pause(ctx, after)
			break
		}
	}
	cancel()
	<-done
	return err
}

// isNot returns what picks flags that are not on an address.
func isNot(honest netip.Addr) func(flagged) bool {
	return func(f flagged) bool { return f.Address != honest }
}

// evaluate says what was found, beside what fixed limits say of the same packets.
func (a *Attack) evaluate(s *scene, packets []lab.Packet, honest *player, t *tally) (outcome.Attack, error) {
	result := outcome.Attack{Name: a.Name, Kind: a.Kind, Where: outcome.Live, Rate: a.Rate, Sources: a.Sources, Twin: a.Twin}
	meter := fixed.NewFrames()
	var first, last uint64
	for _, p := range packets {
		segment, err := lab.Decode(p)
		if err != nil {
			continue
		}
		feed(meter, p, segment)
		if remote(segment).Addr() == honest.address {
			continue
		}
		if first == 0 {
			first = uint64(p.Time)
		}
		if segment.RX {
			last = uint64(p.Time)
		}
	}
	if first == 0 {
		return result, fmt.Errorf("%s: %w", a.Name, errNothing)
	}
	meter.Tick(last)
	result.Duration = float64(last-first) / 1e9
	result.Fixed = outcome.FixedLimits(meter.Alarms(), first)
	found, err := s.flags.list(isNot(honest.address))
	if err != nil {
		return result, err
	}
	for _, f := range found {
		result.Saw(f.On, f.Signals)
	}
	if len(found) > 0 {
		result.Found, result.Seconds = true, float64(int64(found[0].At-first))/1e9
	}
	wrong, err := s.flags.list(func(f flagged) bool { return f.Address == honest.address })
	result.Honest = &outcome.Honest{
		Calls: int(t.calls.Load()), Flagged: len(wrong), Refused: int(t.refused.Load()), Failed: int(t.failed.Load()),
	}
	return result, err
}

var errNothing = errors.New("no packet of the attack was captured")

func remote(s lab.Segment) netip.AddrPort {
	if s.RX {
		return s.Src
	}
	return s.Dst
}

// feed hands a captured packet to fixed limits.
func feed(meter *fixed.Frames, p lab.Packet, s lab.Segment) {
	const ethernet = 14
	local, peer := s.Src, s.Dst
	if s.RX {
		local, peer = s.Dst, s.Src
	}
	payload := p.Data[min(ethernet+s.HeaderLen, len(p.Data)):]
	meter.Take(&fixed.Segment{
		At: uint64(p.Time), Key: flow.NewKey(flow.TCP, local, peer), RX: s.RX,
		SYN: s.Flags&lab.FlagSYN != 0, ACK: s.Flags&lab.FlagACK != 0, RST: s.Flags&lab.FlagRST != 0, FIN: s.Flags&lab.FlagFIN != 0,
		Payload: payload[:min(len(payload), s.PayloadLen)], Length: s.PayloadLen,
	})
}
