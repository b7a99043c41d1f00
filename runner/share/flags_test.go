//go:build linux

package share_test

import (
	"testing"
	"time"

	"fivetuple/correlator/fleet"
	"fivetuple/correlator/signal"
	redistest "fivetuple/examples/redis"
)

const attacker = "203.0.113.7"

// TestAFlagCountsByQuorum: what one gateway flags all know, with who says so, and it counts for nothing; what two flag counts where
// that is enforced, by what both say, is marked where it is only observed, and counts no longer once one of them takes it back.
func TestAFlagCountsByQuorum(t *testing.T) {
	t.Parallel()
	s := in(redistest.Start(t, redistest.Options{}).Address())
	a, b, c := join(t, s.of("gw-a")), join(t, s.of("gw-b")), join(t, s.of("gw-c"))
	observes := s.of("gw-d")
	observes.Fleet.SharedVerdicts = fleet.VerdictsObserve
	d := join(t, observes)
	began := time.Now()
	a.flag(attacker, 900, signal.SlowHeaders, signal.PortScan)
	for _, g := range []*gateway{b, c, d} {
		g.awaitWord(attacker, "[gw-a]")
	}
	t.Logf("known on three others after %v", time.Since(began).Round(time.Millisecond))
	for _, g := range []*gateway{b, c, d} {
		g.passes(2)
		if r, _ := g.row(attacker); r.Effect != fleet.EffectTooFew {
			t.Errorf("one gateway's word is %s on %s", r.Effect, g.name)
		}
		if v, ok := g.counts(attacker); ok {
			t.Errorf("one gateway's word counts on %s: %+v", g.name, v)
		}
	}
	b.flag(attacker, 700, signal.SlowHeaders)
	for _, g := range []*gateway{c, d} {
		v := g.awaitCounts(attacker, true)
		if v.Score != 0.7 || v.Signals != signal.Of(signal.SlowHeaders) || v.Observed != (g == d) || v.Until <= g.now() ||
			v.Until > g.now()+uint64(10*time.Minute) {
			t.Errorf("%s: %+v", g.name, v)
		}
	}
	a.unflag(attacker)
	for _, g := range []*gateway{c, d} {
		g.awaitCounts(attacker, false)
		g.awaitWord(attacker, "[gw-b]")
	}
}

// TestALostMessageIsMadeGood: the number of the next one tells of it, and the list has what it said.
func TestALostMessageIsMadeGood(t *testing.T) {
	t.Parallel()
	server, s := guarded(t, "gw-a", "gw-b")
	a, b := join(t, s("gw-a")), join(t, s("gw-b"))
	a.flag("203.0.113.1", 900, signal.PortScan)
	b.awaitWord("203.0.113.1", "[gw-a]")
	b.await("the list, too", func() bool { return b.BoardCounts().Heard >= 2 })
	missed := b.BoardCounts().Missed // the time before the first message
	server.Do("ACL", "SETUSER", "gw-a", "-publish")
	a.flag("203.0.113.2", 900, signal.PortScan)
	a.await("a message that is lost", func() bool { return a.Counts().Refused[kindPublish] == 1 })
	if _, by := b.row("203.0.113.2"); by != "[]" || b.BoardCounts().Missed != missed {
		t.Fatalf("gw-b has heard what was not said, or read the list: %s, %+v", by, b.BoardCounts())
	}
	server.Do("ACL", "SETUSER", "gw-a", "+publish")
	a.flag("203.0.113.3", 900, signal.PortScan)
	for _, address := range []string{"203.0.113.1", "203.0.113.2", "203.0.113.3"} {
		b.awaitWord(address, "[gw-a]")
	}
	if n := b.BoardCounts().Missed - missed; n != 1 {
		t.Errorf("missed messages %d times, want 1", n)
	}
}

// TestWhatWasSaidMeanwhileIsRead: who was away reads the lists when it is back, before anybody says anything new.
func TestWhatWasSaidMeanwhileIsRead(t *testing.T) {
	t.Parallel()
	server, s := guarded(t, "gw-a", "gw-b")
	a, b := join(t, s("gw-a")), join(t, s("gw-b"))
	a.flag("203.0.113.1", 900, signal.PortScan)
	b.awaitWord("203.0.113.1", "[gw-a]")
	b.await("the list, too, so that nothing is left to read", func() bool { return b.BoardCounts().Heard >= 2 })
	missed := b.BoardCounts().Missed
	server.SetACL(shippedUsers(t, "gw-a")) // gw-b's connections are closed, and it gets no other
	b.await("a gateway that is away, and says so", func() bool { return b.log.lines("Redis is not to be used", "WRONGPASS") > 0 })
	sent, told := a.Counts().Sent, a.BoardCounts().Told
	a.flag("203.0.113.2", 900, signal.PortScan)
	a.await("a message that nobody hears", func() bool {
		return a.BoardCounts().Told == told+1 && a.Counts().Sent >= sent+3 && a.Counts().Waiting == 0 // the event, list and message
	})
	server.SetACL(shippedUsers(t, "gw-a", "gw-b"))
	b.awaitWord("203.0.113.2", "[gw-a]")
	if c := b.BoardCounts(); c.Missed != missed || b.Counts().Connected != 2 {
		t.Errorf("a message was missed, not the time without: %+v, subscribed %d times", c, b.Counts().Connected)
	}
	b.await("a gateway that says that it is back", func() bool { return b.log.lines("Redis is to be used again") > 0 })
}
