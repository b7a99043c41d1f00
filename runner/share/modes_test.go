//go:build linux

package share_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"fivetuple/correlator/fleet"
	"fivetuple/correlator/signal"
	"fivetuple/correlator/store"
	redistest "fivetuple/examples/redis"
)

// members are gateways that do everything with each other in rounds, under names of each: a and b speak, and c hears.
type members struct {
	a, b, c *gateway
	as      func(user string) settings
	rounds  int
}

func address(round int) string { return fmt.Sprintf("203.0.113.%d", 100+round) }
func route(round int) string   { return fmt.Sprint("route-", round) }

// say has a and b say something new, and waits until it is sent.
func (m *members) say() {
	m.a.t.Helper()
	m.rounds++
	for i, g := range []*gateway{m.a, m.b} {
		random := rand.New(rand.NewPCG(uint64(m.rounds), uint64(i)))
		told := g.Baselines.Counters().Published
		g.learn(route(m.rounds), around(random, minCalls, 20_000)...)
		g.take(route(m.rounds), around(random, 50, 20_000)...)
		g.flag(address(m.rounds), 900, signal.PortScan)
		g.Event(fleet.Event{Kind: fleet.KindCall, Route: route(m.rounds)})
		g.await("a window and a flag that are told", func() bool {
			return g.Baselines.Counters().Published > told && g.BoardCounts().Told == uint64(m.rounds)
		})
	}
}

// isSent waits until all that was said has arrived.
func (m *members) isSent() {
	m.a.t.Helper()
	for _, g := range []*gateway{m.a, m.b} {
		g.await("an empty queue", func() bool { return g.Counts().Waiting == 0 })
	}
}

// isHeard waits until c knows all.
func (m *members) isHeard() {
	c := m.c
	c.t.Helper()
	l := lookAt(c.t, m.as("people"))
	for i := 1; i <= m.rounds; i++ {
		c.awaitCounts(address(i), true)
		if p50 := c.awaitWarm(route(i)).P50; p50 < 15_000 || p50 > 25_000 {
			c.t.Errorf("the median of %s is %v", route(i), p50)
		}
		c.await("the events of "+route(i), func() bool {
			by := map[string]bool{}
			for _, e := range eventsOf(c.t, l, fleet.KindCall) {
				by[e.gateway] = by[e.gateway] || e.Route == route(i)
			}
			return by["gw-a"] && by["gw-b"] // one may be there twice, if an answer was lost
		})
	}
}

// isCounted waits until a report has all calls, each once.
func (m *members) isCounted() {
	m.a.t.Helper()
	l := lookAt(m.a.t, m.as("people"))
	for i := 1; i <= m.rounds; i++ {
		m.a.await("the figures of "+route(i), func() bool {
			r := of(collect(m.a.t, l), route(i))
			return r.Calls == 100 && r.Timed == 100
		})
	}
}

// through plays a round before something happens, and more while it does; then all is there.
func through(t *testing.T, as func(user string) settings, happens func(m *members)) {
	t.Helper()
	m := &members{a: join(t, as("gw-a")), b: join(t, as("gw-b")), c: join(t, as("gw-c")), as: as}
	m.say()
	m.isHeard()
	happens(m)
	m.isHeard()
	m.a.end() // its last words are the figures that were not told yet
	m.b.end()
	m.isCounted()
	for _, g := range []*gateway{m.a, m.b, m.c} {
		n := g.Counts()
		if n.Refused != ([store.Kinds]uint64{}) || n.Skipped != ([store.Skips]uint64{}) || n.Dropped+n.Expired != 0 {
			t.Errorf("%s: %+v", g.name, n)
		}
		t.Logf("%s: %d commands, %d bytes sent, %d received, retried %d, lost %d", g.name, n.Commands, n.BytesSent, n.BytesReceived,
			n.Retried, n.Lost)
	}
}

// TestOneServerWithTLSAndUsers, who are those that are shipped.
func TestOneServerWithTLSAndUsers(t *testing.T) {
	t.Parallel()
	certificates := redistest.NewCertificates(t)
	certificates.Mutual = true
	server, as := guardedWith(t, redistest.Options{TLS: certificates}, "gw-a", "gw-b", "gw-c")
	through(t, as, func(m *members) {
		server.Disconnect()
		m.say()
	})
}

// TestAFailover: the replica takes over, and has what it had not got.
func TestAFailover(t *testing.T) {
	t.Parallel()
	sentinel := redistest.StartSentinel(t, redistest.Options{ACL: shippedUsers(t, "gw-a", "gw-b", "gw-c"), Config: shippedConfig(t)}, "")
	through(t, func(user string) settings {
		s := in(sentinel.Addresses()...).as(t, user)
		s.Redis.Mode, s.Redis.Master = store.ModeSentinel, redistest.Master
		return s
	}, func(m *members) {
		was := sentinel.Primary()
		was.Kill()
		m.say()
		sentinel.AwaitFailover(was)
	})
}

// TestAReshard of a Cluster over which baselines and figures are spread: what is said while slots move arrives.
func TestAReshard(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, redistest.Options{ACL: shippedUsers(t, "gw-a", "gw-b", "gw-c"), Config: shippedConfig(t)})
	as := func(user string) settings {
		s := in(cluster.Addresses()[:2]...).as(t, user)
		s.Redis.Mode, s.Fleet.Spread = store.ModeCluster, true
		return s
	}
	keys := fleet.NewKeys("test", true)
	through(t, as, func(m *members) {
		nodes := map[*redistest.Server]bool{}
		for i, key := range []string{keys.Flags("gw-a"), keys.Figures("gw-a", 300, 0), keys.Baseline("gw-a", 0, get(route(4)))} {
			slot := cluster.Slot(key)
			nodes[cluster.Owner(slot)] = true
			phase := 0
			cluster.Reshard(slot, func() {
				if phase++; phase == 1 { // the slot is about to move: what is new in it goes elsewhere
					m.say() // routes 2, 3, 4
				}
				if phase == 2 || i != 1 { // figures that wait are told at the end
					m.isSent()
				}
			})
		}
		t.Logf("%d nodes had the three slots", len(nodes))
	})
}
