package fleet

import (
	"maps"
	"testing"
	"time"

	"fivetuple/correlator/flow"
	"fivetuple/correlator/signal"
)

// TestOnlyChangesAreTold: nothing where nothing changed, but the list every half a minute, and on demand.
func TestOnlyChangesAreTold(t *testing.T) {
	w := newWorld(t, enforce(2), "a")
	a := w.gateways[0]
	if !a.look() {
		t.Fatal("the empty list is told once")
	}
	next := func(what string, want bool, flags, gone int) {
		t.Helper()
		w.later(time.Second)
		p, err := a.Own(a.moment(), a.table)
		a.must(err)
		if (p.Whole != nil) != want {
			t.Fatalf("%s: told %s", what, p.Changes)
		}
		if !want {
			return
		}
		f, err := DecodeFlags(p.Changes)
		a.must(err)
		whole, err := DecodeFlags(p.Whole)
		a.must(err)
		if len(f.Flags) != flags || len(f.Gone) != gone || whole.Number != f.Number || len(whole.Flags) != len(a.table) || whole.Gone != nil {
			t.Errorf("%s: %s, of %s", what, p.Changes, p.Whole)
		}
		a.table = maps.Clone(a.table) // what was handed over is not changed
	}
	next("nothing", false, 0, 0)
	a.hold(bad, 900, time.Hour, signal.HalfOpen)
	a.hold("2001:db8::1", 900, time.Hour, signal.HalfOpen)
	a.table = maps.Clone(a.table)
	next("two", true, 2, 0)
	next("the same", false, 0, 0)
	v := a.table[at(bad)]
	v.Score = 950
	a.put(bad, v)
	next("a score", true, 1, 0)
	delete(a.table, at(bad))
	next("one less", true, 0, 1)
	for range 29 {
		next("the same", false, 0, 0)
	}
	next("repeated", true, 0, 0)
	next("not at once again", false, 0, 0)
	a.Repeat()
	next("on demand", true, 0, 0)
}

// TestTheStrongestAreTold: of too many, in values that are within their bounds even if every signal is named.
func TestTheStrongestAreTold(t *testing.T) {
	w := newWorld(t, enforce(2), "a", "b")
	a := w.gateways[0]
	for i := range 3000 {
		address := at("2001:db8:1234:5678:9abc:def0:1234::")
		address[14], address[15] = byte(i>>8), byte(i)
		a.table[address] = flow.Verdict{
			Since: a.now(), Expires: a.now() + 3600*second, Score: 501 + uint16(i%400), Signals: uint32(signal.All),
		}
	}
	w.later(time.Second)
	if !a.look() {
		t.Fatal("nothing was told")
	}
	f, err := DecodeFlags(a.key)
	a.must(err)
	least := 1.0
	for i := range f.Flags {
		least = min(least, f.Flags[i].Score)
	}
	if len(f.Flags) != maxFlags || least != 0.758 || a.Counts().Unpublished != 2000 {
		t.Errorf("%d flags from %v on, %+v", len(f.Flags), least, a.Counts())
	}
	if len(a.key) > MaxFlags {
		t.Errorf("%d bytes are more than are read", len(a.key))
	}
	t.Logf("1,000 flags with all signals: %d bytes", len(a.key))
}

// TestPace: what is told of many flags that change all the time is bounded, and what few flags do is told at once.
func TestPace(t *testing.T) {
	w := newWorld(t, enforce(2), "a")
	a := w.gateways[0]
	for i := range 1000 {
		a.hold(numbered(i), 900, time.Hour, signal.HalfOpen)
	}
	const seconds = 60
	bytes := 0
	for turn := range seconds * 4 {
		w.later(turnTime)
		for i := range 1000 {
			a.hold(numbered(i), 600+uint16(turn), time.Hour, signal.HalfOpen)
		}
		p, err := a.Own(a.moment(), maps.Clone(a.table))
		a.must(err)
		bytes += len(p.Whole) + len(p.Changes)
	}
	if rate := bytes / seconds; rate > sayRate*11/10 || rate < sayRate/2 {
		t.Errorf("%d bytes a second, the bound is %d", rate, sayRate)
	}
	w = newWorld(t, enforce(2), "a")
	a = w.gateways[0]
	for turn := range 40 {
		a.hold(numbered(turn%10), 600+uint16(turn), time.Hour, signal.HalfOpen)
		w.later(turnTime)
		if !a.look() {
			t.Fatalf("turn %d: nothing was told", turn)
		}
	}
}

// TestBegan: a flag is new once, also where verdicts are not shared; those of before this process are not.
func TestBegan(t *testing.T) {
	w := newWorld(t, Options{SharedVerdicts: VerdictsOff}, "a")
	a := w.gateways[0]
	a.hold(numbered(1), 900, time.Hour, signal.HalfOpen)
	w.later(time.Second)
	next := func(what string, want ...string) {
		t.Helper()
		p, err := a.Own(a.moment(), maps.Clone(a.table))
		a.must(err)
		if len(p.Began) != len(want) || p.Whole != nil {
			t.Fatalf("%s: %+v", what, p)
		}
		for i, address := range want {
			if p.Began[i].Address.String() != address || p.Began[i].Known() != signal.Of(signal.PortScan) {
				t.Errorf("%s: %+v", what, p.Began[i])
			}
		}
		w.later(time.Second)
	}
	next("before this process")
	a.hold(numbered(2), 900, time.Minute, signal.PortScan)
	a.hold(numbered(3), 400, time.Minute, signal.PortScan)
	next("one new", numbered(2))
	v := a.table[at(numbered(2))]
	v.Score, v.Expires = 700, a.now()+120*second
	a.put(numbered(2), v)
	next("the same, renewed")
	delete(a.table, at(numbered(2)))
	next("gone")
	a.hold(numbered(2), 900, time.Minute, signal.PortScan)
	next("again", numbered(2))
}
