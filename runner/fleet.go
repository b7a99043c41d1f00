package main

import (
	"cmp"
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"fivetuple/conf"
	"fivetuple/correlator"
	"fivetuple/correlator/baseline"
	"fivetuple/correlator/fleet"
	"fivetuple/runner/metrics"
	"fivetuple/runner/report"
	"fivetuple/runner/share"
)

// errNoRedis means that a command wants what only a fleet has.
var errNoRedis = errors.New("the setting redis.addresses is empty: flags are in the runner's log")

// fleetPart is this runner's part in its fleet; nil: there is no Redis. The methods take a nil one.
type fleetPart struct {
	*share.Share
	stop context.CancelFunc // nil: not started
}

// joinFleet makes it. Settings that are wrong, and files that they name and that cannot be read, are errors; a Redis that does
// not answer is none.
func joinFleet(c conf.Config, learned *baselines, figures *report.Figures, now func() uint64, log zerolog.Logger) (*fleetPart, error) {
	if len(c.Redis.Addresses) == 0 {
		return nil, nil //nolint:nilnil // no part
	}
	s, err := share.Open(shareOptions(c), share.Parts{
		Baselines: learned.Baselines, Learning: c.Baseline, Figures: figures, Now: now, Log: log.With().Str("part", "fleet").Logger(),
	})
	if err != nil {
		return nil, err
	}
	learned.onShift = func(shift *baseline.Shift) { s.Event(eventOfShift(shift)) }
	return &fleetPart{Share: s}, nil
}

// shareOptions settles what the settings leave open. Whom this host's watcher never judges no other gateway's word is about.
func shareOptions(c conf.Config) share.Options {
	o := share.Options{Redis: c.Redis, Fleet: c.Fleet, Version: buildVersion()}
	o.Fleet.Gateway = gatewayName(c.Fleet)
	o.Fleet.Trusted = slices.Concat(c.Fleet.Trusted, c.Watch.Trusted)
	return o
}

// gatewayName returns this gateway's name in its fleet: the host's, unless the settings say another one.
func gatewayName(o fleet.Options) string {
	if o.Gateway != "" {
		return o.Gateway
	}
	host, _ := os.Hostname() // without a name there is one gateway all the same
	host = strings.Map(func(c rune) rune {
		if fleet.ValidName(string(c)) != nil {
			return '-'
		}
		return c
	}, host)
	return cmp.Or(host[:min(len(host), fleet.MaxName)], "gateway")
}

// start hears the others, until end. When the context ends, so will this process: it says at once what there is to say, and goes on with
// what calls that come while it drains are counted as.
func (p *fleetPart) start(ctx context.Context, registry prometheus.Registerer, sources *correlator.SourceList) {
	if p == nil {
		return
	}
	metrics.RegisterRedis(registry, p.Counts)
	metrics.RegisterSharedVerdicts(registry, p.BoardCounts, sources.Counts)
	context.AfterFunc(ctx, p.Yield)
	ctx, p.stop = context.WithCancel(context.WithoutCancel(ctx))
	go p.Run(ctx)
}

// speak says that this process serves, and when the one before it is gone.
func (p *fleetPart) speak(gone <-chan struct{}) {
	if p != nil {
		p.Speak(gone)
	}
}

// yield says that another process serves in this one's place.
func (p *fleetPart) yield() {
	if p != nil {
		p.Yield()
	}
}

// end waits for the last words.
func (p *fleetPart) end() {
	if p != nil && p.stop != nil {
		p.stop()
		p.Wait()
	}
}

// verdicts returns how this host's verdicts are shared; nil: they are not.
func (p *fleetPart) verdicts(log zerolog.Logger) *sharedVerdicts {
	if p == nil {
		return nil
	}
	return &sharedVerdicts{
		board: p.Board(), log: log,
		moment: func(now uint64) fleet.Moment {
			if !p.Speaks() { // nothing counts as said
				return fleet.Moment{Kernel: now}
			}
			return p.Moment(now)
		},
		tell: func(publication fleet.Publication) {
			if !p.Speaks() { // another process of this gateway tells it
				return
			}
			p.Tell(publication)
			for i := range publication.Began {
				p.Event(eventOfSource(&publication.Began[i], p.SharesVerdicts()))
			}
		},
	}
}

// tellCall tells of a flagged call.
func (p *fleetPart) tellCall(r *correlator.CallRecord) {
	if p != nil {
		p.Event(eventOfCall(r, p.SharesVerdicts()))
	}
}

// openEvents is where `fivetuple events` reads.
func openEvents(ctx context.Context, c conf.Config) (eventSource, error) {
	l, err := lookAtFleet(ctx, c)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// lookTime is how long a command may take to reach Redis.
const lookTime = 10 * time.Second

// lookAtFleet connects a command with the fleet.
func lookAtFleet(ctx context.Context, c conf.Config) (*share.Look, error) {
	if len(c.Redis.Addresses) == 0 {
		return nil, errNoRedis
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	return share.NewLook(ctx, shareOptions(c), zerolog.Nop())
}

// viewFleet is how `fivetuple sources` sees the other gateways' flags; nil where verdicts are not shared.
func viewFleet(ctx context.Context, c conf.Config) (*fleetView, error) {
	if len(c.Redis.Addresses) == 0 || c.Fleet.SharedVerdicts == fleet.VerdictsOff {
		return nil, nil //nolint:nilnil // no view
	}
	l, err := lookAtFleet(ctx, c)
	if err != nil {
		return nil, err
	}
	return &fleetView{options: shareOptions(c).Fleet, moment: l.Moment, flags: l.Flags, close: l.Close}, nil
}
