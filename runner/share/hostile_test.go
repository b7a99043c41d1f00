//go:build linux

package share_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"fivetuple/correlator/fleet"
	"fivetuple/runner/report"
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
	a, b := join(t, s("gw-a")), join(t, s("gw-b"))
	a.take("orders", 20_000)
	b.take("orders", 20_000)
	const big = 200
	for i := range big - 1 {
		b.take(fmt.Sprint("of-b-", i), 20_000)
	}
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
