package fleet

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"fivetuple/correlator/flow"
	"fivetuple/correlator/signal"
)

// TestWhatIsRemembered: whatever gateways do, and whatever gets lost, what counts is what their claims come to now; and once
// all is heard, the claims are what each of them holds.
func TestWhatIsRemembered(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 7))
		w := newWorld(t, enforce(2), "a", "b", "c", "d", "e")
		for range 300 {
			w.lose = random.IntN(4) == 0
			g := w.gateways[random.IntN(len(w.gateways))]
			address := numbered(random.IntN(6))
			switch random.IntN(5) {
			case 0:
				delete(g.table, at(address))
			case 1:
				g.put(address, flow.Verdict{Since: g.now(), Expires: g.now() + 60*second, Score: uint16(random.IntN(2) * 1000), Origin: flow.OriginManual})
			default:
				g.hold(address, 400+uint16(random.IntN(600)), time.Duration(1+random.IntN(20))*time.Second, signal.HalfOpen+signal.Signal(random.IntN(3)))
			}
			w.turn()
			w.later(time.Duration(random.IntN(2000)) * time.Millisecond)
			for _, g := range w.gateways {
				g.list()
				for address, s := range g.sources {
					got, ok := g.weigh(address, s, g.now())
					tally := g.tally(address, s, g.now())
					want, wantOK := tally.agreed(2)
					if want.Until = min(want.Until, got.Until); ok != wantOK || got != want { // an own flag beyond an hour moves on
						t.Fatalf("seed %d: %+v %v, want %+v %v", seed, got, ok, want, wantOK)
					}
				}
			}
		}
		w.lose = false
		for range 3 { // repeated, noticed, read
			w.later(30 * time.Second)
			w.turn()
		}
		for _, g := range w.gateways {
			wantHeard(t, g)
		}
	}
}

// wantHeard checks that a gateway knows of each other one what that one holds.
func wantHeard(t *testing.T, g *gateway) {
	t.Helper()
	g.list()
	for _, other := range g.world.gateways {
		if other == g {
			continue
		}
		want := 0
		for address, v := range other.table {
			if !isFlagged(&v, other.now()) {
				continue
			}
			want++
			if s := g.sources[address]; s == nil || s.by(g.peers[other.name]) == nil {
				t.Errorf("%s does not know what %s holds against %v", g.name, other.name, address)
			}
		}
		if p := g.peers[other.name]; p == nil || len(p.addresses) != want {
			t.Errorf("%s knows %+v of %s, which holds %d", g.name, p, other.name, want)
		}
	}
}

// TestAtOnce: hearing, telling and listing do not meet (with -race).
func TestAtOnce(t *testing.T) {
	w := newWorld(t, enforce(2), "victim")
	victim := w.gateways[0]
	f := flagsOf(1, 100)
	text, err := Encode(&f)
	victim.must(err)
	var wait sync.WaitGroup
	for _, do := range []func(){
		func() { _ = victim.Hear("a", text, true, victim.moment()) },
		func() { _ = victim.Hear("b", text, false, victim.moment()) },
		func() { victim.List(victim.now(), func([16]byte, Counted) {}) },
		func() { _, _ = victim.Own(victim.moment(), Table{at(bad): {Score: 900, Expires: victim.now() + 1}}) },
		func() { victim.Rows(victim.now()); victim.Behind(victim.now()) },
		func() { victim.Counts(); victim.Repeat(); victim.SetLocal(nil) },
	} {
		wait.Go(func() {
			for range 50 {
				do()
			}
		})
	}
	wait.Wait()
	if n := len(victim.list()); n != 100 {
		t.Errorf("%d count", n)
	}
}
