//go:build linux

package share_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"fivetuple/correlator/fleet"
	"fivetuple/correlator/signal"
	redistest "fivetuple/examples/redis"
	"fivetuple/runner/report"
	"fivetuple/runner/share"
)

// keys are those of the fleet `test`.
var keys = fleet.NewKeys("test", false)

// pipelined sends commands at once, and fails if one of them is refused.
func pipelined(t testing.TB, c *redis.Client, add func(p redis.Pipeliner)) {
	t.Helper()
	if _, err := c.Pipelined(t.Context(), func(p redis.Pipeliner) error { add(p); return nil }); err != nil {
		t.Fatal(err)
	}
}

// TestMadeUpRoutesHideNobodys: a gateway that makes up more routes than a report has, each with a million calls, takes no row from the
// honest ones, and is named as the one whose calls are folded.
func TestMadeUpRoutesHideNobodys(t *testing.T) {
	t.Parallel()
	server, s := guarded(t, "gw-0", "gw-a", "gw-b")
	hostile := server.Client("gw-0", "gw-0")
	a, b := join(t, s("gw-a")), open(t, s("gw-b"))
	a.take("orders", 20_000)
	b.take("orders", 20_000)
	const big = 200
	for i := range big - 1 {
		b.take(fmt.Sprint("of-b-", i), 20_000)
	}
	b.run() // now: what is counted after the first figures were told waits for a minute
	l := lookAt(t, s("people"))
	b.await("figures", func() bool { r := collect(t, l); return len(r.Routes) == big && of(r, "orders").Calls == 2 })
	const value = `{"v":1,"calls":1000000,"match":[1000000,0,0,0],"request":{},"response":{},"times_us":["","","","","",""]}`
	const madeUp = report.MaxRoutes + 2000
	bucket := keys.Figures("gw-0", report.StepFine, l.Now().Unix()/report.StepFine*report.StepFine)
	pipelined(t, hostile, func(p redis.Pipeliner) {
		for i := range madeUp {
			p.HSet(t.Context(), bucket, fmt.Sprint("made-up-", i), value)
		}
		p.Expire(t.Context(), bucket, time.Hour)
		p.ZAdd(t.Context(), keys.Gateways(), redis.Z{Score: float64(l.Now().UnixMilli()), Member: "gw-0"})
	})
	r := collect(t, l)
	if n := len(r.Routes); n != report.MaxRoutes+1 {
		t.Errorf("%d routes", n)
	}
	if n := of(r, "orders").Calls; n != 2 {
		t.Errorf("%d calls of orders", n)
	}
	for i := range big - 1 {
		if id := fmt.Sprint("of-b-", i); of(r, id).Calls != 1 {
			t.Errorf("%s has no row", id)
		}
	}
	folded := uint64(madeUp - (report.MaxRoutes - big))
	if n := of(r, report.Other).Calls; n != folded*1e6 {
		t.Errorf("%d calls are folded, want %d", n, folded*1e6)
	}
	for _, g := range r.Gateways {
		if isHostile := g.Gateway == "gw-0"; (g.FoldedRoutes > 0) != isHostile || (g.FoldedCalls == folded*1e6) != isHostile {
			t.Errorf("%+v", g)
		}
	}
}

// flagsText is a value of flags, as a gateway publishes it.
func flagsText(number int, flags ...string) string {
	return fmt.Sprintf(`{"v":1,"instance":"0011223344556677","number":%d,"flags":[%s]}`, number, strings.Join(flags, ","))
}

// flagText is a flag that counts for a minute from some moment of Redis' on.
func flagText(now int64, address string) string {
	return fmt.Sprintf(`{"address":%q,"score":0.9,"signals":"half-open","origin":"watcher","since":1,"until":%d}`, address, now+60_000)
}

// TestAFloodHidesNobodysWord: who publishes more than can be heard keeps nobody's word from being heard, and what was left out of its own
// is in its list, which is read; nobody else's is.
func TestAFloodHidesNobodysWord(t *testing.T) {
	t.Parallel()
	server, s := guarded(t, "gw-0", "gw-a", "gw-b")
	hostile := server.Client("gw-0", "gw-0")
	a, b := join(t, s("gw-a")), join(t, s("gw-b"))
	say := func(list string, messages ...string) {
		pipelined(t, hostile, func(p redis.Pipeliner) {
			p.Set(t.Context(), keys.Flags("gw-0"), list, time.Hour)
			for _, m := range messages {
				p.Publish(t.Context(), keys.Channel("gw-0"), m)
			}
		})
	}
	now := b.Moment(b.now()).Redis
	say(flagsText(5, flagText(now, "203.0.113.1")), flagsText(5))
	b.awaitWord("203.0.113.1", "[gw-0]") // b has read the list, and nothing of it is missed
	var many []string
	for i := range 500 {
		many = append(many, flagText(now, fmt.Sprintf("198.51.%d.%d", 100+i/250, i%250)))
	}
	same := flagsText(5, many...) // says no more than the first message: it is long to read, and nothing is done with it
	list := flagsText(6, flagText(now, "203.0.113.2"))
	a.flag("203.0.113.3", 900, signal.PortScan)
	b.await("a flood that is too much", func() bool {
		say(list, same, same, same, same, same, same, same, same, same, same, same, same, same, same, same, same, same, same, same, same)
		return b.Counts().Unheard > 0
	})
	b.awaitWord("203.0.113.2", "[gw-0]")
	b.awaitWord("203.0.113.3", "[gw-a]")
	if c := b.Counts(); c.Connected != 1 {
		t.Errorf("the subscription began %d times", c.Connected)
	}
}

// calls returns how often a server was sent a command.
func calls(t testing.TB, server *redistest.Server, command string) (n int) {
	t.Helper()
	text, err := server.Admin().Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	if _, after, ok := strings.Cut(text, "cmdstat_"+command+":calls="); ok {
		_, _ = fmt.Sscanf(after, "%d", &n)
	}
	return n
}

// TestListsAreReadOncePerSecond: a gateway whose subscription is ended again and again reads all lists at once, and then once a second,
// the last time after it is back.
func TestListsAreReadOncePerSecond(t *testing.T) {
	t.Parallel()
	server, s := guarded(t, "gw-a", "gw-b")
	settings := s("gw-b")
	settings.Fleet.Baselines = false                       // or the list of gateways is read for them, too
	pipelined(t, server.Admin(), func(p redis.Pipeliner) { // there is somebody to read of
		p.ZAdd(t.Context(), keys.Gateways(), redis.Z{Score: float64(time.Now().UnixMilli()), Member: "gw-a"})
	})
	began := time.Now()
	b := join(t, settings)
	b.await("the first reading", func() bool { return calls(t, server, "zrevrange") == 1 })
	const times = 20
	for i := range uint64(times) {
		b.await("a subscription", func() bool { return b.Counts().Connected == i+1 })
		if i == times-1 { // nobody publishes it: it is known by the list alone
			list := flagsText(5, flagText(b.Moment(b.now()).Redis, "203.0.113.2"))
			pipelined(t, server.Admin(), func(p redis.Pipeliner) { p.Set(t.Context(), keys.Flags("gw-a"), list, time.Hour) })
		}
		server.Do("CLIENT", "KILL", "TYPE", "pubsub")
	}
	b.awaitWord("203.0.113.2", "[gw-a]")
	read, atMost := calls(t, server, "zrevrange"), 1+int(time.Since(began).Seconds())
	t.Logf("%d subscriptions, the lists were read %d times, at most %d", b.Counts().Connected, read, atMost)
	if read > atMost {
		t.Errorf("read %d times, at most %d are allowed", read, atMost)
	}
}

// TestFalseNamesKeepNobodyCold: a gateway that starts reads the windows of those that are there, also if another one has put far more names
// on the list than are asked.
func TestFalseNamesKeepNobodyCold(t *testing.T) {
	t.Parallel()
	const route = "carts" // of which 64 of the false names would be asked before gw-a
	server, s := guarded(t, "gw-0", "gw-a", "gw-b")
	settings := func(user string) settings {
		s := s(user)
		s.Fleet.SharedVerdicts = fleet.VerdictsOff // so that nobody is heard
		return s
	}
	a := open(t, settings("gw-a"))
	a.learn(route, around(rand.New(rand.NewPCG(4, 1)), minCalls, 20_000)...)
	a.run()
	a.await("a window that is told", func() bool {
		c := a.Counts()
		return a.Baselines.Counters().Published > 0 && c.Sent > 0 && c.Waiting == 0
	})
	hostile := server.Client("gw-0", "gw-0")
	ahead := float64(time.Now().Add(30 * time.Minute).UnixMilli())
	pipelined(t, hostile, func(p redis.Pipeliner) {
		for i := range 1000 { // with the true ones no more than are looked into at once: else it takes some times of ten seconds
			p.ZAdd(t.Context(), keys.Gateways(), redis.Z{Score: ahead, Member: fmt.Sprint("false-", i)})
		}
	})
	b := join(t, settings("gw-b"))
	if p50 := b.awaitWarm(route).P50; p50 < 15_000 || p50 > 25_000 {
		t.Errorf("the median is %v", p50)
	}
}

// TestAFloodedListBlindsNobody: a gateway puts 60,000 names on the list, ahead of all, and then names of 256 KB. What the others have is
// read all the same, by commands and by a gateway that starts, and the commands say what was left out.
func TestAFloodedListBlindsNobody(t *testing.T) {
	t.Parallel()
	server, s := guarded(t, "gw-0", "gw-a", "gw-b")
	hostile := server.Client("gw-0", "gw-0")
	a := join(t, s("gw-a"))
	a.take("orders", 20_000)
	a.Event(fleet.Event{Kind: fleet.KindCall, Route: "orders"})
	a.flag("203.0.113.3", 900, signal.PortScan)
	l := lookAt(t, s("people"))
	a.await("figures", func() bool { return of(collect(t, l), "orders").Calls == 1 })
	ahead := float64(time.Now().Add(30 * time.Minute).UnixMilli())
	for what, name := range map[string]func(i int) string{
		"60,000 names": func(i int) string { return fmt.Sprint("false-", i) },
		"long names":   func(i int) string { return fmt.Sprint("x", i%40, strings.Repeat("x", 256<<10)) },
	} {
		pipelined(t, hostile, func(p redis.Pipeliner) {
			p.ZRemRangeByRank(t.Context(), keys.Gateways(), 0, -1)
			for i := range 60_000 {
				if i < 40 || what == "60,000 names" {
					p.ZAdd(t.Context(), keys.Gateways(), redis.Z{Score: ahead, Member: name(i)})
				}
			}
		})
		l := lookAt(t, s("people"))
		found := 0
		err := l.Events(t.Context(), time.Hour, "", false, func(gateway, _ string, _ []byte) error {
			if gateway == "gw-a" {
				found++
			}
			return nil
		})
		if found == 0 || !errors.Is(err, share.ErrLeftOut) || !strings.Contains(err.Error(), "names on the list of gateways") {
			t.Errorf("%s: %d events, %v", what, found, err)
		}
		if n := of(collect(t, l), "orders").Calls; n != 1 || l.LeftOut() == nil {
			t.Errorf("%s: %d calls are reported, %v", what, n, l.LeftOut())
		}
		found = 0
		err = l.Flags(t.Context(), func(gateway string, _ []byte) {
			if gateway == "gw-a" {
				found++
			}
		})
		if found != 1 || !errors.Is(err, share.ErrLeftOut) {
			t.Errorf("%s: %d lists of flags, %v", what, found, err)
		}
	}
	b := join(t, s("gw-b"))
	b.awaitWord("203.0.113.3", "[gw-a]")
}

// TestALargeCollectionBlindsNobody: a gateway whose own figures or events are larger than any that is read, by bytes or by elements,
// hides nobody else's.
func TestALargeCollectionBlindsNobody(t *testing.T) {
	t.Parallel()
	server, s := guarded(t, "gw-0", "gw-a")
	hostile := server.Client("gw-0", "gw-0")
	a := join(t, s("gw-a"))
	a.take("orders", 20_000)
	a.Event(fleet.Event{Kind: fleet.KindCall, Route: "orders"})
	l := lookAt(t, s("people"))
	a.await("figures", func() bool { return of(collect(t, l), "orders").Calls == 1 })
	bucket := keys.Figures("gw-0", report.StepFine, l.Now().Unix()/report.StepFine*report.StepFine)
	pipelined(t, hostile, func(p redis.Pipeliner) {
		for i := range 150_000 { // more elements than an answer has, in less than maxBucket
			p.HSet(t.Context(), bucket, fmt.Sprint(i), "x")
		}
		for range 80 {
			p.XAdd(t.Context(), &redis.XAddArgs{Stream: keys.Events("gw-0"), Values: []any{fleet.EventField, make([]byte, 1<<20)}})
		}
		p.ZAdd(t.Context(), keys.Gateways(), redis.Z{Score: float64(l.Now().UnixMilli()), Member: "gw-0"})
	})
	if n := of(collect(t, l), "orders").Calls; n != 1 || !errors.Is(l.LeftOut(), share.ErrLeftOut) {
		t.Errorf("%d calls are reported, %v", n, l.LeftOut())
	}
	found := 0
	err := l.Events(t.Context(), time.Hour, "", false, func(string, string, []byte) error { found++; return nil })
	if found == 0 || !errors.Is(err, share.ErrLeftOut) || !strings.Contains(err.Error(), "larger than any that a gateway writes") {
		t.Errorf("%d events, %v", found, err)
	}
}
