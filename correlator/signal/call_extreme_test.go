package signal_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"fivetuple/correlator/baseline"
)

// TestExtremeBaselinesFlagNobody: whatever a file, or another gateway, says is usual, an honest call is not flagged by it.
func TestExtremeBaselinesFlagNobody(t *testing.T) {
	extreme := []float64{0, 1, 5e-324, 1e-9, 0.5, 1e10, 1e15, 1e308, -1, -1e308, math.Inf(1), math.Inf(-1), math.NaN()}
	r := rand.New(rand.NewPCG(5, 6))
	for range 200_000 {
		c := normal()
		u := &baseline.Usual{Ready: true, Calls: r.Uint64()}
		for q := range u.Quantities {
			u.Quantities[q] = baseline.Range{P50: extreme[r.IntN(len(extreme))], P99: extreme[r.IntN(len(extreme))]}
		}
		u.Rate = baseline.Range{P50: extreme[r.IntN(len(extreme))], P99: extreme[r.IntN(len(extreme))]}
		c.Usual = u
		if r.IntN(2) == 0 { // a slow, far, lossy client with a large upload
			c.RTT, c.Receive, c.Wait = 600*ms, 60*second, 200*ms
			c.Request.Packets, c.Request.Retransmitted, c.Request.OutOfOrder, c.Request.Bytes, c.Request.Payload = 7000, 140, 150, 10_000_000, 9_700_000
		}
		if v := verdict(&c); !(v.Score >= 0 && v.Score <= 0.8) {
			t.Fatalf("score %v, signals %v, with %+v", v.Score, v.Signals, u)
		}
	}
}
