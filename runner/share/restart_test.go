//go:build linux

package share_test

import (
	"math/rand/v2"
	"testing"

	"fivetuple/correlator/signal"
	redistest "fivetuple/examples/redis"
	"fivetuple/runner/share"
)

// TestRedisRestartsEmpty: who there is, what is usual, flagged and counted is there again, all of it, without a call in between, also
// what the process before had counted.
func TestRedisRestartsEmpty(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Options{})
	s := in(server.Address())
	before := open(t, s.of("gw-a"))
	before.take("orders", around(rand.New(rand.NewPCG(1, 1)), 40, 20_000)...)
	before.run()
	l := lookAt(t, s.of("people"))
	before.await("figures", func() bool { return of(collect(t, l), "orders").Calls == 40 })
	before.end()

	a := open(t, s.of("gw-a"))
	a.take("carts", 20_000)
	a.learn("orders", around(rand.New(rand.NewPCG(1, 2)), minCalls, 20_000)...)
	a.flag(attacker, 900, signal.PortScan)
	a.run()
	isWhole := func() bool { return isWhole(t, l) }
	a.await("figures of both processes, a window, flags", isWhole)
	server.Kill()
	a.await("a Redis that is away", func() bool { return !a.Counts().Up })
	server.Restart()
	a.await("all of it again", isWhole)
	if n := a.Counts().Lost; n != 1 {
		t.Errorf("Redis had lost what it had %d times, want 1", n)
	}
	b := join(t, s.of("gw-b"))
	b.awaitWord(attacker, "[gw-a]")
	b.awaitWarm("orders")
}

// isWhole says whether Redis has all that gw-a knows, as a newcomer and a report would see it.
func isWhole(t *testing.T, l *share.Look) bool {
	t.Helper()
	flags := 0
	if err := l.Flags(t.Context(), func(gateway string, _ []byte) {
		if gateway == "gw-a" {
			flags++
		}
	}); err != nil {
		return false
	}
	gateways, err := l.Gateways(t.Context())
	if err != nil || flags != 1 || len(gateways) != 1 || gateways[0].ClockOffset == nil {
		return false
	}
	r := collect(t, l)
	return of(r, "orders").Calls == 40 && of(r, "carts").Calls == 1
}
