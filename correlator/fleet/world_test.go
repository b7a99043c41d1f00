package fleet

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"fivetuple/correlator/flow"
	"fivetuple/correlator/signal"
)

// begin is when tests begin, by Redis' clock.
const begin = int64(1_764_000_000_000)

const second = uint64(time.Second)

// turnTime is how often gateways look at their tables.
const turnTime = 250 * time.Millisecond

// gateway is one of a fleet in a test, with a table and clocks of its own.
type gateway struct {
	*Board
	t      *testing.T
	world  *world
	name   string
	booted uint64 // the kernel's clock at the test's begin
	skew   int64  // milliseconds that its idea of Redis' clock is off
	table  Table
	key    []byte // its value in Redis
}

// world is a fleet with a Redis that keeps values and passes messages on at once.
type world struct {
	t        *testing.T
	since    uint64 // nanoseconds since the begin
	gateways []*gateway
	lose     bool // messages
}

func newWorld(t *testing.T, o Options, names ...string) *world {
	t.Helper()
	w := &world{t: t}
	for i, name := range names {
		w.add(o, name, uint64(i+1)*1e15)
	}
	return w
}

func (w *world) add(o Options, name string, booted uint64) *gateway {
	w.t.Helper()
	o.Gateway = name
	b, err := NewBoard(o, NewInstance([8]byte([]byte(fmt.Sprintf("%8s", name)[:8]))))
	if err != nil {
		w.t.Fatal(err)
	}
	g := &gateway{Board: b, t: w.t, world: w, name: name, booted: booted, table: Table{}}
	w.gateways = append(w.gateways, g)
	return g
}

func enforce(quorum int) Options { return Options{SharedVerdicts: VerdictsEnforce, Quorum: quorum} }

func (g *gateway) now() uint64 { return g.booted + g.world.since }

func (g *gateway) moment() Moment {
	return Moment{Kernel: g.now(), Redis: begin + int64(g.world.since/1e6) + g.skew}
}

// hold puts a watcher's verdict into a gateway's table.
func (g *gateway) hold(address string, score uint16, stays time.Duration, of ...signal.Signal) {
	g.put(address, flow.Verdict{Since: g.now(), Expires: g.now() + uint64(stays), Score: score, Signals: uint32(signal.Of(of...))})
}

func (g *gateway) put(address string, v flow.Verdict) { g.table[at(address)] = v }

// look has a gateway tell what it holds, and returns whether it told anything.
func (g *gateway) look() bool {
	g.t.Helper()
	table := Table{}
	for address, v := range g.table {
		if v.Expires > g.now() {
			table[address] = v
		}
	}
	p, err := g.Own(g.moment(), table)
	if err != nil {
		g.t.Fatal(err)
	}
	if (p.Whole == nil) != (p.Changes == nil) {
		g.t.Fatal("a change without the list, or a list without the change")
	}
	if p.Whole == nil {
		return false
	}
	g.key = p.Whole
	for _, to := range g.world.gateways {
		if !g.world.lose {
			to.must(to.Hear(g.name, p.Changes, false, to.moment()))
		}
	}
	return true
}

// read has a gateway read the lists of those that it is behind of.
func (g *gateway) read() (asked int) {
	g.t.Helper()
	for _, name := range g.Behind(g.now()) {
		asked++
		for _, of := range g.world.gateways {
			if of.name == name && of.key != nil {
				g.must(g.Hear(name, of.key, true, g.moment()))
			}
		}
	}
	return asked
}

func (g *gateway) must(err error) {
	g.t.Helper()
	if err != nil {
		g.t.Fatal(err)
	}
}

// turn has everybody look, a moment later, and read what was missed.
func (w *world) turn() {
	w.t.Helper()
	w.later(turnTime)
	for _, g := range w.gateways {
		g.look()
	}
	for _, g := range w.gateways {
		g.read()
	}
}

// later lets time go by.
func (w *world) later(d time.Duration) { w.since += uint64(d) }

// list returns what counts at a gateway.
func (g *gateway) list() map[string]Counted {
	all := map[string]Counted{}
	g.List(g.now(), func(address [16]byte, c Counted) { all[netip.AddrFrom16(address).Unmap().String()] = c })
	return all
}

// want checks the addresses that count at a gateway.
func (g *gateway) want(what string, addresses ...string) {
	g.t.Helper()
	list := g.list()
	for _, a := range addresses {
		if _, ok := list[a]; !ok {
			g.t.Errorf("%s: %s does not count at %s", what, a, g.name)
		}
		delete(list, a)
	}
	if len(list) > 0 {
		g.t.Errorf("%s: %s has %v, too", what, g.name, list)
	}
}

func at(address string) [16]byte { return netip.MustParseAddr(address).As16() }

// numbered returns one of many addresses.
func numbered(n int) string {
	return netip.AddrFrom4([4]byte{198, 18 + byte(n>>16), byte(n >> 8), byte(n)}).String()
}
