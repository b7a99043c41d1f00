package fleet

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"fivetuple/correlator/flow"
	"fivetuple/correlator/signal"
)

// TestLostMessages: what was missed is noticed by the next message, and the list is read; also where nothing more changes.
func TestLostMessages(t *testing.T) {
	w := newWorld(t, enforce(2), "a", "b", "c")
	a, b, c := w.gateways[0], w.gateways[1], w.gateways[2]
	w.turn()
	w.later(time.Second)
	w.lose = true
	a.hold(bad, 900, time.Hour, signal.HalfOpen)
	b.hold(bad, 900, time.Hour, signal.HalfOpen)
	w.turn()
	c.want("nothing came")
	w.lose = false
	a.hold("203.0.113.8", 900, time.Hour, signal.HalfOpen)
	w.turn()
	if n := c.Counts(); n.Missed != 2+1 || n.Sources != 2 { // their beginnings, and a's flag
		t.Errorf("%+v", n)
	}
	w.later(30 * time.Second)
	w.turn()
	c.want("repeated", bad)
	w.lose = true
	delete(b.table, at(bad))
	w.turn()
	c.want("that it is gone did not come", bad)
	w.lose = false
	w.later(30 * time.Second)
	w.turn()
	c.want("nor any more")
}

// TestRestart: another process of the same name tells its own list, in place of that of the one before.
func TestRestart(t *testing.T) {
	w := newWorld(t, enforce(2), "a", "b", "c")
	a, c := w.gateways[0], w.gateways[2]
	for _, g := range w.gateways[:2] {
		for i := range 5 {
			g.hold(numbered(i), 900, time.Hour, signal.HalfOpen)
		}
	}
	w.turn()
	if n := len(c.list()); n != 5 {
		t.Fatalf("%d count", n)
	}
	b, err := NewBoard(a.options, NewInstance([8]byte{9}))
	a.must(err)
	a.Board = b
	clear(a.table)
	a.hold(numbered(2), 900, time.Hour, signal.HalfOpen)
	w.later(time.Second)
	w.turn()
	c.want("after the restart", numbered(2))
}

// TestOrder: an old list does not undo what was heard since, nor does a change that comes twice.
func TestOrder(t *testing.T) {
	w := newWorld(t, enforce(2), "victim")
	victim := w.gateways[0]
	say := func(number int, isWhole bool, flags, gone string) {
		t.Helper()
		text := fmt.Sprintf(`{"v":1,"instance":"0011223344556677","number":%d,"flags":[%s],"gone":[%s]}`, number, flags, gone)
		victim.must(victim.Hear("a", []byte(text), isWhole, victim.moment()))
	}
	flag := `{"address":"203.0.113.7","score":0.9,"signals":"half-open","origin":"watcher","since":1,"until":1764000060000}`
	wantSources := func(what string, n int, isBehind bool) {
		t.Helper()
		if got := victim.Counts().Sources; got != n || (len(victim.Behind(victim.now())) > 0) != isBehind {
			t.Errorf("%s: %d sources, want %d; or behind is not %v", what, got, n, isBehind)
		}
		w.later(time.Second)
	}
	say(7, false, flag, "")
	wantSources("in the middle", 1, true)
	wantSources("not yet read", 1, true)
	say(6, true, "", "")
	wantSources("an older list", 1, true)
	say(7, true, flag, "")
	wantSources("the list", 1, false)
	say(8, false, "", `"203.0.113.7"`)
	wantSources("gone", 0, false)
	say(7, false, flag, "")
	say(8, false, flag, "")
	wantSources("twice", 0, false)
	say(8, false, "", "")
	wantSources("nothing has changed", 0, false)
	say(9, true, flag, "")
	wantSources("a list before its change", 1, false)
	say(9, false, "", "")
	wantSources("the change", 1, false)
	say(11, false, "", "")
	wantSources("one is missing", 1, true)
	say(11, true, flag, "")
	victim.Missed("a", victim.now())
	victim.Missed("victim", victim.now())
	victim.Missed("not:a:name", victim.now())
	wantSources("one was left out", 1, true)
	say(12, true, "", "")
	wantSources("the list, which has it", 0, false)
	if n := victim.Counts(); n.Missed != 3 || n.Gateways != 1 {
		t.Errorf("%+v", n)
	}
}

// TestBehindIsBounded: so many at a time, each once a second.
func TestBehindIsBounded(t *testing.T) {
	w := newWorld(t, enforce(2), "victim")
	victim := w.gateways[0]
	for i := range 100 {
		text := fmt.Sprintf(`{"v":1,"instance":"%016x","number":7,"flags":[]}`, i)
		victim.must(victim.Hear(fmt.Sprint("gw-", i), []byte(text), false, victim.moment()))
	}
	named := map[string]bool{}
	for _, want := range []int{64, 36, 0} {
		names := victim.Behind(victim.now())
		for _, name := range names {
			named[name] = true
		}
		if len(names) != want {
			t.Errorf("%d are named, want %d", len(names), want)
		}
	}
	if len(named) != 100 {
		t.Errorf("%d", len(named))
	}
	w.later(time.Second)
	if n := len(victim.Behind(victim.now())); n != 64 {
		t.Errorf("%d are named again", n)
	}
}

// flagsOf is a list of so many flags, from a number on.
func flagsOf(first, n int) Flags {
	f := Flags{Head: newHead(), Instance: NewInstance([8]byte{1}), Number: 1}
	for i := range n {
		v := flow.Verdict{Since: 1, Expires: 60 * second, Score: 900, Signals: uint32(signal.Of(signal.HalfOpen))}
		f.Flags = append(f.Flags, newFlag(at(numbered(first+i)), &v, Moment{Kernel: 1, Redis: begin}))
	}
	return f
}

func (g *gateway) hear(from string, f Flags, isWhole bool) {
	g.t.Helper()
	text, err := Encode(&f)
	g.must(err)
	g.must(g.Hear(from, text, isWhole, g.moment()))
}

// TestBounds: 1,000 flags a gateway, 16,384 addresses, 64 gateways an address, 4,096 gateways; what is above is counted.
func TestBounds(t *testing.T) {
	victim := newWorld(t, enforce(2), "victim").gateways[0]
	for i := range 20 {
		victim.hear(fmt.Sprint("gw-", i), flagsOf(i*1000, 1000), true)
	}
	if n := victim.Counts(); n.Sources != maxSources || n.Refused != 20*1000-maxSources {
		t.Errorf("%+v", n)
	}
	more := flagsOf(5000, 1000) // known ones
	more.Number = 2
	victim.hear("gw-0", more, false)
	if n := victim.Counts(); n.Refused != 20*1000-maxSources+1000 {
		t.Errorf("1,000 more of one gateway: %+v", n)
	}
	victim = newWorld(t, enforce(2), "victim").gateways[0]
	for i := range 5000 {
		victim.hear(fmt.Sprint("gw-", i), flagsOf(1, 1), true)
	}
	if n := victim.Counts(); n.Gateways != maxPeers || n.Refused != 5000-maxClaims {
		t.Errorf("%+v", n)
	}
	if rows := victim.Rows(victim.now()); len(rows) != 1 || len(rows[0].By) != maxClaims || rows[0].Effect != EffectEnforced {
		t.Errorf("%+v", rows)
	}
	victim.world.later(2 * time.Hour)
	victim.want("later")
	if n := victim.Counts(); n.Gateways != 0 || n.Sources != 0 {
		t.Errorf("left: %+v", n)
	}
}

// TestDamage: what is not sound changes nothing, and is counted.
func TestDamage(t *testing.T) {
	victim := newWorld(t, enforce(2), "victim").gateways[0]
	victim.hear("a", flagsOf(1, 3), true)
	long := flagsOf(1, 1001)
	tooMany, err := Encode(&long)
	victim.must(err)
	const flag = `{"address":"203.0.113.7","score":0.9,"signals":"half-open","origin":"watcher","since":1,"until":2}`
	for text, want := range map[string]error{
		``:        ErrDamaged,
		`{}`:      ErrDamaged,
		`{"v":}`:  ErrDamaged,
		`{"v":1}`: ErrDamaged,
		`{"v":2}`: ErrVersion,
		`{"v":-1,"instance":"0011223344556677","number":1,"flags":[]}`:             ErrDamaged,
		`{"v":1.0,"instance":"0011223344556677","number":1,"flags":[]}`:            ErrDamaged,
		`{"v":99999999999999999999}`:                                               ErrDamaged,
		`{"v":1,"instance":"0011223344556677","number":1,"flags":[]} `:             ErrDamaged,
		`{"v":1,"instance":"0011223344556677","number":1,"flags":[],"gateway":""}`: ErrDamaged,
		`{"v":1,"instance":"001122334455667","number":1,"flags":[]}`:               ErrDamaged,
		`{"v":1,"instance":"0011223344556677","number":-1,"flags":[]}`:             ErrDamaged,
		`{"v":1,"instance":"0011223344556677","number":1e300,"flags":[]}`:          ErrDamaged,
		string(tooMany): ErrDamaged,
		fmt.Sprintf(`{"v":1,"instance":"0011223344556677","number":1,"flags":[%s,{}]}`, flag):            ErrDamaged,
		fmt.Sprintf(`{"v":1,"instance":"0011223344556677","number":1,"flags":[%s],"gone":[""]}`, flag):   ErrDamaged,
		fmt.Sprintf(`{"v":1,"instance":"0011223344556677","number":1,"flags":[%s],"gone":["::"]}`, flag): ErrDamaged,
		string(make([]byte, MaxFlags+1)): ErrDamaged,
	} {
		if err := victim.Hear("a", []byte(text), true, victim.moment()); !errors.Is(err, want) {
			t.Errorf("%.90s: %v", text, err)
		}
	}
	for _, part := range []string{
		`"address":"203.0.113"`, `"address":"fe80::1%eth0"`, `"address":"0.0.0.0"`, `"address":"::ffff:1.2.3.4"`, `"score":0.4999`, `"score":1.001`,
		`"score":-1`, `"score":"1"`, `"signals":"half-open\n"`, `"origin":"fleet"`, `"origin":""`, `"since":-1`, `"until":-1`, `"until":9007199254740992`, `"x":1`,
	} {
		text := `{"v":1,"instance":"0011223344556677","number":1,"flags":[` + flag[:len(flag)-1] + "," + part + `}]}`
		if err := victim.Hear("a", []byte(text), true, victim.moment()); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", part, err)
		}
	}
	if err := victim.Hear("a:b", []byte(`{"v":1}`), true, victim.moment()); !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
	n := victim.Counts()
	if n.Sources != 3 || n.Unknown != 1 || n.Damaged != 17+15 || n.Heard != 1 {
		t.Errorf("%+v", n)
	}
}
