//go:build linux

package share_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"fivetuple/correlator/store"
	redistest "fivetuple/examples/redis"
)

// windowOf returns a closed window of n calls, as a gateway with some settings tells it.
func windowOf(t testing.TB, s settings, n int) []byte {
	t.Helper()
	g := open(t, s.of("gw"))
	g.learn("orders", around(rand.New(rand.NewPCG(6, uint64(n))), n, 20_000)...)
	told := g.Baselines.Published(1)
	if len(told) != 1 {
		t.Fatalf("%d windows", len(told))
	}
	return told[0].Value
}

// TestWindowsThatAreLeftOutAreCounted: by reason, in a metric, and those that are not are taken.
func TestWindowsThatAreLeftOutAreCounted(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Options{})
	s := in(server.Address())
	s.learning.Windows = 4 // of 50 calls each at least
	longer, thinner := s, s
	longer.learning.Window *= 2
	thinner.learning.MinCalls = 20
	fits := windowOf(t, s, minCalls)
	said := map[string][]byte{
		"gw-fits": fits, "gw-version": append([]byte(`{"v":2,`), fits[len(`{"v":1,`):]...), "gw-damaged": fits[1:],
		"gw-window": windowOf(t, longer, minCalls), "gw-thin": windowOf(t, thinner, 45),
	}
	pipelined(t, server.Admin(), func(p redis.Pipeliner) {
		for gateway, value := range said {
			p.ZAdd(t.Context(), keys.Gateways(), redis.Z{Score: float64(time.Now().UnixMilli()), Member: gateway})
			period := time.Now().UnixNano() / int64(s.learning.Window)
			for i := period - 1; i < period+60; i++ { // whenever it is asked
				p.Set(t.Context(), keys.Baseline(gateway, i, get("orders")), value, time.Hour)
			}
		}
	})
	b := join(t, s.of("gw-b"))
	b.awaitWarm("orders")
	b.await("windows that are left out", func() bool {
		c := b.Counts().Skipped
		n := c[store.SkipThin]
		return n > 0 && fmt.Sprint(c) == fmt.Sprint([store.Skips]uint64{
			store.SkipVersion: n, store.SkipDamaged: n, store.SkipWindow: n, store.SkipThin: n,
		})
	})
}
