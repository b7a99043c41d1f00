package stack_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"fivetuple/examples/lab"
	"fivetuple/examples/stack"
	"fivetuple/runner/report"
)

// TestReport: a report says of real calls what the log says of them.
func TestReport(t *testing.T) {
	address := freeAddress(t)
	ctx, s := start(t, stack.Options{Metrics: address})
	c := dial(ctx, t, s, lab.GatewayFrontIPv4)
	const calls = 9
	for n := range calls {
		do(t, c, stack.Post("/insight/post", 1000*n))
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	var lines []logged
	waitUntil(t, func() bool { lines = readLog(t, s.CallsFile()); return len(lines) == calls })
	var r report.Report
	waitUntil(t, func() bool {
		var err error
		r, err = report.Fetch(t.Context(), address, report.Query{Since: time.Hour})
		return err == nil && len(r.Routes) == 1 && r.Routes[0].Calls == calls
	})
	var in, out uint64
	var took []float64
	for _, l := range lines {
		in, out = in+uint64(l.Bytes), out+uint64(l.Response)
		took = append(took, l.Total/1000)
	}
	slices.Sort(took)
	got := r.Routes[0]
	if got.Route != "insight" || got.Request.Bytes != in || got.Answer.Payload != out || got.Timed != calls || got.ExactShare != 1 {
		t.Errorf("%+v, want %d bytes in and %d of payload out", got, in, out)
	}
	if got.Total == nil || math.Abs(got.Total.P50/took[calls/2]-1) > 0.011 || got.Upstream == nil || got.Upstream.P50 > got.Total.P99 {
		t.Errorf("%+v and %+v, the log's times are %v", got.Total, got.Upstream, took)
	}
	if r.Accuracy != 0.01 || len(r.Gateways) != 1 || r.Gateways[0].Calls != calls {
		t.Errorf("%+v", r)
	}
}
