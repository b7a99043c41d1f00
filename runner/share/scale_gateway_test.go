package share

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"fivetuple/correlator"
	"fivetuple/correlator/baseline"
	"fivetuple/correlator/fleet"
	"fivetuple/correlator/store"
	"fivetuple/runner/report"
)

// gateway is a part in a fleet, with all that is shared, and no kernel and no APISIX behind it.
type gateway struct {
	*Share
	baselines *baseline.Baselines
	figures   *report.Figures
	leave     func() // says its last words
}

func optionsOf(address, name string) Options {
	o := Options{Redis: store.Default(), Fleet: fleet.Default()}
	o.Redis.Addresses, o.Fleet.Name, o.Fleet.Gateway = []string{address}, "test", name
	o.Fleet.SharedVerdicts = fleet.VerdictsEnforce
	return o
}

// join starts a gateway of the fleet "test"; it leaves at the latest when the test ends.
func join(t *testing.T, o Options) *gateway {
	t.Helper()
	learning := baseline.Default()
	learning.Window, learning.MinCalls = time.Second, 20
	began := time.Now()
	now := func() uint64 { return uint64(time.Since(began)) + uint64(time.Hour) }
	g := &gateway{
		baselines: baseline.New(learning), figures: report.New(report.Options{Routes: 100, Gateway: o.Fleet.Gateway, Now: time.Now}),
	}
	g.baselines.SetWall(time.Duration(began.Add(-time.Hour).UnixNano()))
	var err error
	if g.Share, err = Open(o, Parts{Baselines: g.baselines, Learning: learning, Figures: g.figures, Now: now, Log: zerolog.Nop()}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	go g.Run(ctx)
	gone := make(chan struct{})
	close(gone)
	g.Speak(gone)
	g.leave = func() {
		stop()
		g.Wait()
	}
	t.Cleanup(g.leave)
	return g
}

func addressOf(source int) [16]byte {
	return netip.MustParseAddr(fmt.Sprintf("192.0.2.%d", source%250+1)).As16()
}

// latencies are of one call: log-normal, by a factor of some ten between the quickest and the slowest.
func latencies() (v [baseline.Quantities]float64) {
	for q, median := range [baseline.Quantities]float64{
		baseline.Size: 700, baseline.Receive: 50, baseline.Wait: 300, baseline.RTT: 20_000, baseline.Response: 40_000,
	} {
		v[q] = median * math.Exp(rand.NormFloat64()*0.6) //nolint:gosec // no secret
	}
	return v
}

func finished(route string) *correlator.CallRecord {
	r := &correlator.CallRecord{Match: correlator.MatchExchange}
	r.Route.Route = route
	r.Request.Packets, r.Request.Bytes, r.Request.Payload = 1, 700, 648
	r.Response.Packets, r.Response.Bytes, r.Response.Payload = 3, 4000, 3844
	v := latencies()
	s := &r.Split
	s.Network, s.Waiting, s.Serving, s.Leaving = uint64(v[baseline.RTT]*1e3), uint64(v[baseline.Wait]*1e3), uint64(v[baseline.Response]*1e3), uint64(v[baseline.Receive]*1e3)
	s.Total = s.Network + s.Waiting + s.Serving + s.Leaving
	return r
}
