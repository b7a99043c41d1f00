package fleet

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"fivetuple/correlator/flow"
	"fivetuple/correlator/signal"
)

const bad = "203.0.113.7"

// TestQuorum: what fewer than the quorum hold does not count; the score is the quorum-th highest, the time the quorum-th
// latest, the signals those that a quorum names.
func TestQuorum(t *testing.T) {
	for _, quorum := range []int{2, 3} {
		w := newWorld(t, enforce(quorum), "a", "b", "c", "d")
		a, b, c, d := w.gateways[0], w.gateways[1], w.gateways[2], w.gateways[3]
		a.hold(bad, 900, 5*time.Minute, signal.HalfOpen, signal.PortScan)
		w.turn()
		d.want("one gateway")
		b.hold(bad, 700, 3*time.Minute, signal.HalfOpen)
		w.turn()
		if quorum == 2 {
			d.want("two gateways", bad)
			got := d.list()[bad]
			if got.Score != 0.7 || got.Signals != signal.Of(signal.HalfOpen) || got.Until != d.now()+uint64(3*time.Minute-turnTime) || got.Observed {
				t.Errorf("%+v", got)
			}
		} else {
			d.want("two gateways of three")
		}
		c.hold(bad, 800, 4*time.Minute, signal.HalfOpen, signal.RequestRate)
		w.turn()
		got := d.list()[bad]
		want := map[int]struct {
			score float64
			stays time.Duration
		}{2: {0.8, 4*time.Minute - turnTime}, 3: {0.7, 3*time.Minute - 2*turnTime}}[quorum]
		if got.Score != want.score || got.Until != d.now()+uint64(want.stays) || got.Signals != signal.Of(signal.HalfOpen) {
			t.Errorf("quorum %d: %+v", quorum, got)
		}
		for _, g := range []*gateway{a, b} {
			delete(g.table, at(bad))
		}
		w.later(time.Second)
		w.turn()
		d.want("taken back")
		if n := d.Counts().Sources; n != 1 {
			t.Errorf("%d sources, want that of c", n)
		}
	}
}

// TestOwnCountsAsOne: this gateway's flag makes the quorum with one other; a higher local score stays.
func TestOwnCountsAsOne(t *testing.T) {
	w := newWorld(t, enforce(2), "a", "b", "c")
	a, b, c := w.gateways[0], w.gateways[1], w.gateways[2]
	a.hold(bad, 600, time.Minute, signal.HalfOpen)
	b.hold(bad, 950, time.Minute, signal.HalfOpen)
	w.turn()
	a.want("what both hold is no more than the local verdict")
	b.want("as here")
	c.want("elsewhere it counts", bad)
	c.hold(bad, 900, time.Minute, signal.HalfOpen)
	w.turn()
	a.want("two others hold more", bad)
	if got := a.list()[bad]; got.Score != 0.9 {
		t.Errorf("%+v", got)
	}
	b.want("b's own is the highest")
}

// TestNobodyEchoes: what counts by the fleet's word is not told as one's own.
func TestNobodyEchoes(t *testing.T) {
	w := newWorld(t, enforce(2), "a", "b", "c")
	c := w.gateways[2]
	for _, g := range w.gateways[:2] {
		g.hold(bad, 900, time.Minute, signal.HalfOpen)
	}
	w.turn()
	c.want("it counts", bad)
	c.put(bad, flow.Verdict{Score: 900, Expires: c.now() + 60*second, Origin: flow.OriginFleet})
	c.put("203.0.113.8", flow.Verdict{Score: 499, Expires: c.now() + 60*second})
	c.put("203.0.113.9", flow.Verdict{Score: 0, Expires: c.now() + 60*second, Origin: flow.OriginManual})
	c.put("203.0.113.10", flow.Verdict{Score: 1000, Expires: c.now(), Origin: flow.OriginManual})
	w.later(time.Second)
	w.turn()
	if f, err := DecodeFlags(c.key); err != nil || len(f.Flags) != 0 {
		t.Errorf("told: %+v, %v", f, err)
	}
}

// TestOneHostileGateway: alone, whatever it says, it makes nothing count, and takes nothing back.
func TestOneHostileGateway(t *testing.T) {
	w := newWorld(t, enforce(2), "a", "b", "evil", "victim")
	a, b, evil, victim := w.gateways[0], w.gateways[1], w.gateways[2], w.gateways[3]
	for i := range 1000 {
		evil.put(numbered(i), flow.Verdict{Expires: evil.now() + 3600*second, Score: 1000, Origin: flow.OriginManual})
	}
	w.turn()
	victim.want("one gateway says so")
	for _, g := range []*gateway{a, b} {
		g.hold(bad, 600, time.Minute, signal.HalfOpen)
	}
	clear(evil.table)
	evil.put(bad, flow.Verdict{Expires: evil.now() + 3600*second, Score: 1000, Origin: flow.OriginManual})
	w.later(2 * time.Second)
	w.turn()
	if got := victim.list()[bad]; got.Score != 0.6 || got.Signals != signal.Of(signal.HalfOpen) {
		t.Errorf("%+v", got)
	}
	clear(evil.table)
	w.later(2 * time.Second)
	w.turn()
	victim.want("it takes nothing back of others", bad)
	w.later(time.Minute)
	victim.want("nor does it prolong")
}

// TestSignalsHaveToAgree: gateways that have nothing in common agree on nothing; a person's word stands for every signal.
func TestSignalsHaveToAgree(t *testing.T) {
	w := newWorld(t, enforce(2), "a", "b", "c")
	a, b, c := w.gateways[0], w.gateways[1], w.gateways[2]
	a.hold(bad, 900, time.Minute, signal.HalfOpen)
	b.hold(bad, 900, time.Minute, signal.PortScan)
	w.turn()
	c.want("no signal in common")
	manual := flow.Verdict{Since: a.now(), Expires: a.now() + 60*second, Score: 1000, Origin: flow.OriginManual}
	a.put(bad, manual)
	w.later(time.Second)
	w.turn()
	if got := c.list()[bad]; got.Score != 0.9 || got.Signals != signal.Of(signal.PortScan) {
		t.Errorf("a person and a watcher: %+v", got)
	}
	manual.Expires = b.now() + 60*second
	b.put(bad, manual)
	w.later(time.Second)
	w.turn()
	if got, ok := c.list()[bad]; !ok || got.Score != 1 || got.Signals != 0 {
		t.Errorf("two people: %+v", got)
	}
}

// TestUnknownSignals: what only a newer gateway knows supports nothing, and is not a person's word.
func TestUnknownSignals(t *testing.T) {
	w := newWorld(t, enforce(2), "victim")
	victim := w.gateways[0]
	for _, from := range []string{"a", "b"} {
		victim.must(victim.Hear(from, []byte(`{"v":1,"instance":"0011223344556677","number":1,"flags":[`+
			`{"address":"203.0.113.7","score":1,"signals":"telepathy","origin":"watcher","since":1,"until":1764000060000}]}`), true, victim.moment()))
	}
	victim.want("two newer gateways")
	if victim.Counts().Sources != 1 {
		t.Error("it was not noted")
	}
}

// TestWhatNeverCounts: pardons, trusted addresses, and those that are another host's on another host.
func TestWhatNeverCounts(t *testing.T) {
	o := enforce(2)
	o.Trusted = []string{"192.0.2.0/24", "2001:db8:1::/48", "203.0.113.50", "::ffff:198.51.100.0/120"}
	w := newWorld(t, o, "a", "b", "victim")
	victim := w.gateways[2]
	all := []string{
		"192.0.2.77", "2001:db8:1::5", "203.0.113.50", "198.51.100.9", // trusted
		"127.0.0.1", "::1", "169.254.1.1", "fe80::1", "224.0.0.1", "ff02::1", "255.255.255.255", // not global
		"10.1.2.3", "2001:db8:ffff::1", // this host's
		"203.0.113.8", // pardoned
		bad,
	}
	for _, g := range w.gateways[:2] {
		for _, address := range all {
			g.hold(address, 900, time.Minute, signal.HalfOpen)
		}
	}
	victim.SetLocal([]netip.Addr{netip.MustParseAddr("10.1.2.3")})
	w.turn()
	victim.SetLocal([]netip.Addr{netip.MustParseAddr("::ffff:10.1.2.3"), netip.MustParseAddr("2001:db8:ffff::1")})
	victim.put("203.0.113.8", flow.Verdict{Expires: victim.now() + 30*second, Origin: flow.OriginManual})
	w.later(time.Second)
	w.turn()
	victim.want("what is left", bad)
	w.later(30 * time.Second)
	w.turn()
	victim.want("after the pardon", bad, "203.0.113.8")
	for _, r := range victim.Rows(victim.now()) {
		if want := map[bool]Effect{true: EffectEnforced, false: EffectExempt}[r.Address.String() == bad || r.Address.String() == "203.0.113.8"]; r.Effect != want {
			t.Errorf("%v: %s", r.Address, r.Effect)
		}
	}
}

// TestModes: observed is marked and never beside a local verdict; off says and hears nothing.
func TestModes(t *testing.T) {
	w := newWorld(t, enforce(2), "a", "b")
	observer := w.add(Options{SharedVerdicts: VerdictsObserve, Quorum: 2}, "observer", 5)
	deaf := w.add(Options{SharedVerdicts: VerdictsOff, Quorum: 2}, "deaf", 6)
	for _, g := range []*gateway{w.gateways[0], w.gateways[1], deaf} {
		g.hold(bad, 900, time.Minute, signal.HalfOpen)
		g.hold("203.0.113.8", 900, time.Minute, signal.HalfOpen)
	}
	observer.hold("203.0.113.8", 600, time.Minute, signal.HalfOpen)
	w.turn()
	observer.want("observed", bad)
	if !observer.list()[bad].Observed {
		t.Error("it is not marked")
	}
	deaf.want("off")
	if deaf.key != nil || deaf.Counts() != (Counts{}) {
		t.Errorf("%s, %+v", deaf.key, deaf.Counts())
	}
}

// TestExpiry: a flag counts at most an hour ahead, however long its gateway says, and goes on counting where it is renewed.
func TestExpiry(t *testing.T) {
	w := newWorld(t, enforce(2), "a", "b", "c")
	c := w.gateways[2]
	for _, g := range w.gateways[:2] {
		g.put(bad, flow.Verdict{Since: g.now(), Expires: g.now() + 48*3600*second, Score: 1000, Origin: flow.OriginManual})
	}
	for range 12 * 3 { // three hours
		w.turn()
		c.want("renewed", bad)
		if ahead := c.list()[bad].Until - c.now(); ahead > 3600*second {
			t.Fatalf("%v ahead", time.Duration(ahead))
		}
		w.later(5 * time.Minute)
	}
	w.gateways = []*gateway{c} // the others are gone
	w.later(time.Hour)
	w.turn()
	c.want("after an hour")
	hostile := []byte(`{"v":1,"instance":"0011223344556677","number":1,"flags":[` +
		`{"address":"203.0.113.7","score":1,"signals":"","origin":"manual","since":1,"until":9007199254740991}]}`)
	for _, from := range []string{"x", "y"} {
		c.must(c.Hear(from, hostile, true, c.moment()))
	}
	if got := c.list()[bad]; got.Until != c.now()+3600*second {
		t.Errorf("%v ahead", time.Duration(got.Until-c.now()))
	}
	c.want("one more hour", bad)
	w.later(time.Hour)
	c.want("and no more")
	if n := c.Counts(); n.Sources != 0 || n.Gateways != 0 {
		t.Errorf("left: %+v", n)
	}
}

// TestSkew: gateways whose clocks are off by seconds agree all the same; one that is off by more than a flag's life is
// without a say, or held to an hour.
func TestSkew(t *testing.T) {
	w := newWorld(t, enforce(2), "a", "b", "c")
	a, b, c := w.gateways[0], w.gateways[1], w.gateways[2]
	a.skew, b.skew = -2000, 3000
	a.hold(bad, 900, time.Minute, signal.HalfOpen)
	b.hold(bad, 900, time.Minute, signal.HalfOpen)
	w.turn()
	if got := c.list()[bad]; got.Until != c.now()+uint64(58*time.Second-turnTime) {
		t.Errorf("%v ahead", time.Duration(got.Until-c.now()))
	}
	a.skew = -7200_000
	a.Repeat()
	w.later(time.Second)
	w.turn()
	a.hold(bad, 950, time.Minute, signal.HalfOpen)
	w.later(time.Second)
	w.turn()
	c.want("a lives in the past")
	a.skew = 7200_000
	a.hold(bad, 900, time.Minute, signal.HalfOpen)
	w.later(time.Second)
	w.turn()
	if got := c.list()[bad]; got.Until > c.now()+60*second+3000*1e6 {
		t.Errorf("a's future is not held by b: %v ahead", time.Duration(got.Until-c.now()))
	}
}

// TestClockUnknown: nothing is told or heard before Redis' clock is known, and all of it after.
func TestClockUnknown(t *testing.T) {
	w := newWorld(t, enforce(2), "a")
	a := w.gateways[0]
	a.hold(bad, 900, time.Minute, signal.HalfOpen)
	p, err := a.Own(Moment{Kernel: a.now()}, a.table)
	if err != nil || p.Whole != nil {
		t.Errorf("%s, %v", p.Whole, err)
	}
	if err := a.Hear("b", []byte(`{"v":1}`), false, Moment{Kernel: a.now()}); !errors.Is(err, errClock) {
		t.Error(err)
	}
	if !a.look() {
		t.Error("it is not told when the clock is known")
	}
}
