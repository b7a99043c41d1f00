//go:build linux

package share_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"fivetuple/correlator/fleet"
	"fivetuple/correlator/signal"
	redistest "fivetuple/examples/redis"
	"fivetuple/runner/metrics"
	"fivetuple/runner/share"
)

// said is an event, and who says it.
type said struct {
	gateway string
	fleet.Event
}

// eventsOf returns the events of some kind of the last hour.
func eventsOf(t testing.TB, l *share.Look, kind fleet.Kind) (all []said) {
	t.Helper()
	err := l.Events(t.Context(), time.Hour, "", false, func(gateway, _ string, value []byte) error {
		e, err := fleet.DecodeEvent(value)
		if err != nil {
			t.Errorf("an event of %s: %v", gateway, err)
		}
		if e.Kind == kind {
			all = append(all, said{gateway, e})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// gauge returns a metric of a gateway's part in its fleet.
func (g *gateway) gauge(name string) float64 {
	g.t.Helper()
	r := prometheus.NewRegistry()
	metrics.RegisterRedis(r, g.Counts)
	families, err := r.Gather()
	if err != nil {
		g.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue() + f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	g.t.Fatalf("no metric %s", name)
	return 0
}

const sameID = "another gateway has this one's name"

// TestTwoGatewaysOfOneName are noticed, by a metric, in the log, and as an event, on both.
func TestTwoGatewaysOfOneName(t *testing.T) {
	t.Parallel()
	s := in(redistest.Start(t, redistest.Options{}).Address())
	one, other := join(t, s.of("gw-a")), join(t, s.of("gw-a"))
	for _, g := range []*gateway{one, other} {
		g.await("a namesake", func() bool { return g.gauge("fivetuple_fleet_namesake") == 1 })
		g.await("a line of it", func() bool {
			return g.log.lines(sameID, `"level":"error"`, `"event":"same-id"`, `"gateway":"gw-a"`) == 1
		})
	}
	l := lookAt(t, s.of("people"))
	one.await("an event of each", func() bool { return len(eventsOf(t, l, fleet.KindSameID)) == 2 })
	if n := one.gauge("fivetuple_fleet_namesakes_total"); n != 1 {
		t.Errorf("%v namesakes were counted", n)
	}
}

// TestATakeOverIsNoNamesake: one process of a gateway yields, and the next begins, also a moment before that. The old one may live on for
// long. Another gateway that has the same name meanwhile is a namesake.
func TestATakeOverIsNoNamesake(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Options{})
	s := in(server.Address())
	old := join(t, s.of("gw-a"))
	beats(t, server, old, 2)
	next := join(t, s.of("gw-a"))
	old.Yield()
	beats(t, server, next, 4)
	for _, g := range []*gateway{old, next} {
		if c := g.Counts(); c.NamesakeThere || c.Namesakes != 0 || g.log.lines(sameID) != 0 {
			t.Errorf("taken for a namesake: %+v\n%s", c, g.log)
		}
	}
	if all := eventsOf(t, lookAt(t, s.of("people")), fleet.KindSameID); len(all) != 0 {
		t.Errorf("%+v", all)
	}
	other := join(t, s.of("gw-a"))
	for _, g := range []*gateway{next, other} {
		g.await("a namesake", func() bool { return g.Counts().NamesakeThere })
	}
}

// TestAListenerSaysNothing: a process that has not got its gateway's place, and may never get it.
func TestAListenerSaysNothing(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Options{})
	s := in(server.Address())
	b := join(t, s.of("gw-b"))
	b.flag(attacker, 900, signal.PortScan)
	g := open(t, s.of("gw-a"))
	g.take("orders", 20_000)
	g.learn("orders", around(rand.New(rand.NewPCG(2, 3)), minCalls, 20_000)...)
	g.listen()
	g.awaitWord(attacker, "[gw-b]")
	g.end()
	keys, err := server.Admin().Keys(t.Context(), "*gw-a*").Result()
	if err != nil || len(keys) != 0 {
		t.Errorf("it has written %v, %v", keys, err)
	}
}

// beats waits until a gateway has said so many times that it is there, by the list.
func beats(t *testing.T, server *redistest.Server, g *gateway, n int) {
	t.Helper()
	last := 0.0
	g.await("beats", func() bool {
		at, err := server.Admin().ZScore(context.Background(), fleet.NewKeys("test", false).Gateways(), g.name).Result()
		if err == nil && at != last {
			last = at
			n--
		}
		return n <= 0
	})
}

// TestTwoFleetsOfOneName, whose routes have the same ids, are noticed, in the log and as an event that names the other.
func TestTwoFleetsOfOneName(t *testing.T) {
	t.Parallel()
	s := in(redistest.Start(t, redistest.Options{}).Address())
	s.learning.Window = 2 * time.Second // who has a verdict asks what the others say of a window when that is over
	random := rand.New(rand.NewPCG(2, 1))
	var all []*gateway
	for i, name := range []string{"gw-a", "gw-b", "gw-x"} { // gw-x is of another fleet
		g := open(t, s.of(name))
		for _, route := range []string{"1", "2", "3", "4"} {
			g.learn(route, around(random, minCalls, []float64{20_000, 25_000, 300_000}[i])...)
		}
		g.run()
		all = append(all, g)
	}
	for _, g := range all[:2] {
		g.await("a stranger", func() bool {
			return g.log.lines("two fleets may have one name", `"event":"strangers"`, `"gateway":"gw-x"`, "of 4") > 0
		})
		if n := g.log.lines(`"event":"strangers"`); n != 1 {
			t.Errorf("%s names %d strangers:\n%s", g.name, n, g.log)
		}
	}
	all[2].await("the others, who are strangers", func() bool { return all[2].log.lines(`"event":"strangers"`) == 2 })
	l := lookAt(t, s.of("people"))
	all[0].await("the events", func() bool { return len(eventsOf(t, l, fleet.KindStrangers)) == 4 })
	for _, e := range eventsOf(t, l, fleet.KindStrangers) {
		if (e.gateway == "gw-x") == (e.Peer == "gw-x") {
			t.Errorf("%s says that %s is strange", e.gateway, e.Peer)
		}
	}
}

// TestFleetsOnOneRedisDoNotMix: each knows its own members alone, what they flag, count and have learned.
func TestFleetsOnOneRedisDoNotMix(t *testing.T) {
	t.Parallel()
	address := redistest.Start(t, redistest.Options{}).Address()
	random := rand.New(rand.NewPCG(2, 2))
	fleets := map[string]settings{}
	for i, name := range []string{"eu", "eu-1"} {
		s := in(address)
		s.Fleet.Name = name
		fleets[name] = s
		for _, gateway := range []string{"gw-a", "gw-b"} { // the names are the same
			g := open(t, s.of(gateway))
			g.learn("orders", around(random, minCalls, []float64{20_000, 900_000}[i])...)
			g.take("orders", around(random, 10*(i+1), 20_000)...)
			g.flag([]string{"203.0.113.1", "203.0.113.2"}[i], 900, signal.PortScan)
			g.run()
			g.Event(fleet.Event{Kind: fleet.KindCall, Route: name})
		}
	}
	for i, name := range []string{"eu", "eu-1"} {
		s := fleets[name]
		c := join(t, s.of("gw-c"))
		mine, theirs := []string{"203.0.113.1", "203.0.113.2"}[i], []string{"203.0.113.2", "203.0.113.1"}[i]
		c.awaitCounts(mine, true)
		if r := c.awaitWarm("orders"); (r.P50 > 100_000) != (i == 1) {
			t.Errorf("%s: the median is %v", name, r.P50)
		}
		if _, by := c.row(theirs); by != "[]" {
			t.Errorf("%s has heard what %s say about %s", name, by, theirs)
		}
		if got := c.BoardCounts().Gateways; got != 2 {
			t.Errorf("%s: %d gateways were heard", name, got)
		}
		l := lookAt(t, s.of("people"))
		c.await("figures", func() bool { return len(collect(t, l).Routes) > 0 })
		if r := collect(t, l); len(r.Gateways) != 3 || of(r, "orders").Calls != []uint64{20, 40}[i] {
			t.Errorf("%s: %d calls of %+v", name, of(r, "orders").Calls, r.Gateways)
		}
		for _, e := range eventsOf(t, l, fleet.KindCall) {
			if e.Route != name {
				t.Errorf("%s has an event of %s", name, e.Route)
			}
		}
		if n := len(eventsOf(t, l, fleet.KindCall)); n != 2 {
			t.Errorf("%s has %d events, want 2", name, n)
		}
	}
}
