//go:build linux

package share_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"fivetuple/correlator/baseline"
	"fivetuple/correlator/fleet"
	"fivetuple/correlator/flow"
	"fivetuple/correlator/signal"
	"fivetuple/correlator/store"
	redistest "fivetuple/examples/redis"
	"fivetuple/runner/report"
	"fivetuple/runner/share"
)

// settings are those of a gateway under test.
type settings struct {
	share.Options
	learning baseline.Options
}

// in returns the settings of a gateway of the fleet `test`, which enforces what two gateways hold, on some servers.
func in(servers ...string) settings {
	s := settings{Options: share.Options{Redis: store.Default(), Fleet: fleet.Default(), Version: "test"}, learning: baseline.Default()}
	s.Redis.Addresses = servers
	s.Fleet.Name, s.Fleet.SharedVerdicts = "test", fleet.VerdictsEnforce
	s.learning.File, s.learning.MinCalls, s.learning.Window = "", minCalls, 10*time.Second
	return s
}

// minCalls are enough for a verdict.
const minCalls = 200

// of returns the same settings for a gateway of some name.
func (s settings) of(gateway string) settings {
	s.Fleet.Gateway = gateway
	return s
}

// gateway is what a gateway's runner has in memory, with its part in the fleet. Its kernel's clock is like no other's.
type gateway struct {
	*share.Share
	t      testing.TB
	name   string
	uptime time.Duration
	log    *log

	mu      sync.Mutex
	table   fleet.Table                  // never changed, but replaced
	counted map[netip.Addr]fleet.Counted // what counts of what others say, at the last look
	looks   int
	stop    func()
}

var began = time.Now()

// open makes a gateway that has not joined yet.
func open(t testing.TB, s settings) *gateway {
	t.Helper()
	g := &gateway{t: t, name: s.Fleet.Gateway, uptime: rand.N(1000 * time.Hour), log: new(log), stop: func() {}}
	var err error
	g.Share, err = share.Open(s.Options, share.Parts{
		Baselines: baseline.New(s.learning), Learning: s.learning, Now: g.now, Log: zerolog.New(g.log),
		Figures: report.New(report.Options{Routes: 200, Gateway: g.name, Now: time.Now}),
	})
	if err != nil {
		t.Fatal(err)
	}
	g.setWall()
	return g
}

// join makes a gateway, has it join its fleet, and waits until it has reached Redis.
func join(t testing.TB, s settings) *gateway {
	t.Helper()
	g := open(t, s)
	g.run()
	g.await("Redis, reached by "+g.name, func() bool {
		c := g.Counts()
		return c.Up && c.ClockKnown && c.Connected > 0
	})
	return g
}

// run has it take part, as the runner does, until end. It is alone.
func (g *gateway) run() {
	g.Speak(over)
	g.listen()
}

// listen has it take part, but for what it says.
func (g *gateway) listen() {
	ctx, cancel := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	parts.Go(func() { g.Run(ctx) })
	parts.Go(func() { g.work(ctx) })
	g.stop = sync.OnceFunc(func() { cancel(); parts.Wait() })
	g.t.Cleanup(g.stop)
}

// over is of a process before that is gone.
var over = func() <-chan struct{} { c := make(chan struct{}); close(c); return c }()

// end has it leave in order.
func (g *gateway) end() { g.stop() }

func (g *gateway) now() uint64 { return uint64(time.Since(began) + g.uptime) }

func (g *gateway) setWall() {
	g.Baselines.SetWall(time.Duration(time.Now().UnixNano()) - time.Duration(g.now()))
}

// work is what the runner does besides: it looks at the table of verdicts, and closes windows.
func (g *gateway) work(ctx context.Context) {
	look, rotate := time.NewTicker(250*time.Millisecond), time.NewTicker(time.Second)
	defer look.Stop()
	defer rotate.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
			g.look()
		case <-rotate.C:
			g.setWall()
			g.Baselines.Rotate(g.now())
		}
	}
}

// look is one pass over the table: what of it the others are told, and what counts of what they say.
func (g *gateway) look() {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	p, err := g.Board().Own(g.Moment(now), g.table)
	if err != nil {
		g.t.Errorf("%s: %v", g.name, err)
	}
	g.Tell(p)
	for _, f := range p.Began {
		g.Event(fleet.Event{Kind: fleet.KindSource, Score: f.Score, Signals: f.Known().String(), Address: f.Address})
	}
	counted := map[netip.Addr]fleet.Counted{}
	g.Board().List(now, func(address [16]byte, c fleet.Counted) { counted[netip.AddrFrom16(address).Unmap()] = c })
	g.counted = counted
	g.looks++
}

// flag holds an address flagged here, as the watcher does, for ten minutes.
func (g *gateway) flag(address string, score uint16, signals ...signal.Signal) {
	var set signal.Set
	for _, s := range signals {
		set |= signal.Of(s)
	}
	g.set(address, &flow.Verdict{Since: g.now(), Expires: g.now() + uint64(10*time.Minute), Signals: uint32(set), Score: score})
}

// unflag takes it back.
func (g *gateway) unflag(address string) { g.set(address, nil) }

func (g *gateway) set(address string, v *flow.Verdict) {
	g.mu.Lock()
	defer g.mu.Unlock()
	next := maps.Clone(g.table)
	if next == nil {
		next = fleet.Table{}
	}
	if at := netip.MustParseAddr(address).As16(); v == nil {
		delete(next, at)
	} else {
		next[at] = *v
	}
	g.table = next
}

// counts returns what counts here against an address of what others say; false: nothing.
func (g *gateway) counts(address string) (fleet.Counted, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c, ok := g.counted[netip.MustParseAddr(address)]
	return c, ok
}

// row returns what is known of others' word about an address, and who says it, like `[gw-a gw-b]`.
func (g *gateway) row(address string) (r fleet.Row, by string) {
	for _, r := range g.Board().Rows(g.now()) {
		if r.Address == netip.MustParseAddr(address) {
			return r, fmt.Sprint(r.By)
		}
	}
	return r, "[]"
}

// awaitWord waits until a gateway knows who says something of an address, like `[gw-a gw-b]`.
func (g *gateway) awaitWord(address, by string) {
	g.t.Helper()
	g.await(fmt.Sprintf("the word of %s about %s on %s", by, address, g.name), func() bool {
		_, is := g.row(address)
		return is == by
	})
}

// awaitCounts waits until an address counts, or not.
func (g *gateway) awaitCounts(address string, want bool) (c fleet.Counted) {
	g.t.Helper()
	g.await(fmt.Sprintf("%s counts on %s: %v", address, g.name, want), func() (is bool) {
		c, is = g.counts(address)
		return is == want
	})
	return c
}

// passes waits until the table and the list were looked at so many times more: what was to happen by then has.
func (g *gateway) passes(n int) {
	g.t.Helper()
	looks := func() int { g.mu.Lock(); defer g.mu.Unlock(); return g.looks }
	until := looks() + n
	g.await("looks at the table", func() bool { return looks() >= until })
}

func (g *gateway) await(what string, holds func() bool) {
	g.t.Helper()
	defer func() {
		if g.t.Failed() {
			g.t.Logf("%s: %+v\n%+v\n%s", g.name, g.Counts(), g.BoardCounts(), g.log)
		}
	}()
	redistest.Await(g.t, what, holds)
}

// log is what a gateway logs.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// lines returns how many lines have all of some texts.
func (l *log) lines(texts ...string) (n int) {
next:
	for line := range strings.Lines(l.String()) {
		for _, text := range texts {
			if !strings.Contains(line, text) {
				continue next
			}
		}
		n++
	}
	return n
}
