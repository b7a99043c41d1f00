package metrics

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"fivetuple/correlator"
	"fivetuple/runner/printable"
)

// TestLint: names, units and help are as Prometheus wants them.
func TestLint(t *testing.T) {
	w := newWhole(t, 10)
	w.calls.Take(exchange("orders"))
	problems, err := testutil.GatherAndLint(w)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	if n := count(t, w); n < 100 {
		t.Errorf("%d series are too few to have been looked at", n)
	}
}

// TestHistograms holds the sums and the counts, in seconds and bytes.
func TestHistograms(t *testing.T) {
	w := newWhole(t, 10)
	w.calls.Take(exchange("orders"))
	w.calls.Take(exchange("orders"))
	text := scrape(t, w.Registry)
	const labels = `consumer="jack",route="orders",service="shop"`
	for _, want := range []string{
		`fivetuple_call_duration_seconds_sum{consumer="jack",route="orders",service="shop"} 0.068`,
		`fivetuple_call_duration_seconds_count{consumer="jack",route="orders",service="shop"} 2`,
		`fivetuple_call_duration_seconds_bucket{consumer="jack",route="orders",service="shop",le="0.025"} 0`,
		`fivetuple_call_duration_seconds_bucket{consumer="jack",route="orders",service="shop",le="0.05"} 2`,
		`fivetuple_call_part_duration_seconds_sum{consumer="jack",part="network",route="orders",service="shop"} 0.046`,
		`fivetuple_call_part_duration_seconds_sum{consumer="jack",part="arriving",route="orders",service="shop"} 0.0002`,
		`fivetuple_call_part_duration_seconds_sum{consumer="jack",part="waiting",route="orders",service="shop"} 0.0002`,
		`fivetuple_call_part_duration_seconds_sum{consumer="jack",part="serving",route="orders",service="shop"} 0.0196`,
		`fivetuple_call_part_duration_seconds_sum{consumer="jack",part="leaving",route="orders",service="shop"} 0.002`,
		"fivetuple_call_rtt_seconds_sum{" + labels + "} 0.04624",
		"fivetuple_call_request_bytes_sum{" + labels + "} 2208",
		"fivetuple_call_response_bytes_sum{" + labels + "} 12520",
		`fivetuple_calls_total{consumer="jack",match="exchange",route="orders",service="shop"} 2`,
		`fivetuple_call_retransmitted_packets_total{consumer="jack",direction="rx",route="orders",service="shop"} 2`,
		`fivetuple_call_retransmitted_packets_total{consumer="jack",direction="tx",route="orders",service="shop"} 8`,
		"fivetuple_calls_cut_total{" + labels + "} 0",
		"fivetuple_calls_flagged_total{" + labels + "} 2",
		`fivetuple_call_flags_total{consumer="jack",route="orders",service="shop",signal="retransmit"} 2`,
		`fivetuple_call_flags_total{consumer="jack",route="orders",service="shop",signal="port-scan"} 2`,
		"fivetuple_call_series 1",
	} {
		if !strings.Contains(text, "\n"+want+"\n") {
			t.Errorf("missing: %s", want)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

// TestOnlyWholeCallsAreMeasured: what is not one call's alone is counted, and in no histogram.
func TestOnlyWholeCallsAreMeasured(t *testing.T) {
	w := newWhole(t, 10)
	for m := range correlator.MatchExchange {
		r := exchange("orders")
		r.Match = m
		w.calls.Take(r)
	}
	cut := exchange("orders")
	cut.Cut = true
	w.calls.Take(cut)
	timeless := exchange("orders")
	timeless.Split, timeless.RTT = correlator.Split{}, correlator.RTT{}
	w.calls.Take(timeless)
	text := scrape(t, w.Registry)
	for _, want := range []string{
		`fivetuple_calls_total{consumer="jack",match="none",route="orders",service="shop"} 1`,
		`fivetuple_calls_total{consumer="jack",match="shared",route="orders",service="shop"} 1`,
		`fivetuple_calls_total{consumer="jack",match="connection",route="orders",service="shop"} 1`,
		`fivetuple_calls_total{consumer="jack",match="exchange",route="orders",service="shop"} 2`,
		`fivetuple_calls_cut_total{consumer="jack",route="orders",service="shop"} 1`,
		`fivetuple_call_request_bytes_count{consumer="jack",route="orders",service="shop"} 1`,
		`fivetuple_call_duration_seconds_count{consumer="jack",route="orders",service="shop"} 0`,
		`fivetuple_call_part_duration_seconds_count{consumer="jack",part="network",route="orders",service="shop"} 0`,
		`fivetuple_call_rtt_seconds_count{consumer="jack",route="orders",service="shop"} 0`,
	} {
		if !strings.Contains(text, "\n"+want+"\n") {
			t.Errorf("missing: %s", want)
		}
	}
}

// TestLabelsAreBounded: of 10,000 routes with a call or two, the last ones have labels of their own; no other label is left behind.
func TestLabelsAreBounded(t *testing.T) {
	const bound, routes = 50, 10000
	w := newWhole(t, bound)
	for range 2 {
		for i := range routes {
			w.calls.Take(exchange(fmt.Sprint("route-", i)))
		}
	}
	if n := count(t, w, "fivetuple_call_duration_seconds"); n != bound {
		t.Errorf("%d histograms, want %d", n, bound)
	}
	text := scrape(t, w.Registry)
	for _, want := range []string{
		`fivetuple_call_duration_seconds_count{consumer="jack",route="route-9999",service="shop"} 1`,
		"fivetuple_call_series_overflow_total 0",
		fmt.Sprintf("fivetuple_call_series_evicted_total %d", 2*routes-bound),
		fmt.Sprintf("fivetuple_call_series %d", bound),
	} {
		if !strings.Contains(text, "\n"+want+"\n") {
			t.Errorf("missing: %s", want)
		}
	}
	if strings.Contains(text, `"route-9949"`) || len(text) > 4<<20 {
		t.Errorf("a route that was evicted is there, or the scrape has %d bytes", len(text))
	}
}

// TestForgedRoutesTakeNoSeries: neither many routes with a call each, nor as many as there may be with many calls, take the series of
// routes in use, or keep a new route from having its own for good.
func TestForgedRoutesTakeNoSeries(t *testing.T) {
	const bound = 20
	w := newWhole(t, bound)
	now := time.Unix(1, 0)
	w.calls.series.now = func() time.Time { return now }
	calls := func(route string, n int) {
		for range n {
			w.calls.Take(exchange(route))
		}
	}
	has := func(route string, n int) {
		t.Helper()
		want := fmt.Sprintf(`fivetuple_call_duration_seconds_count{consumer="jack",route=%q,service="shop"} %d`, route, n)
		if !strings.Contains(scrape(t, w.Registry), want) {
			t.Errorf("missing: %s", want)
		}
	}
	calls("used", provenCalls)
	for i := range 10 * bound {
		calls(fmt.Sprint("forged-", i), 1)
	}
	calls("new", 1)
	has("used", provenCalls)
	has("new", 1)
	for i := range 10 * bound {
		calls(fmt.Sprint("often-", i), 2*provenCalls)
	}
	calls("used", 1)
	has("used", provenCalls+1)
	calls("late", 1)
	if strings.Contains(scrape(t, w.Registry), `route="late"`) || w.calls.series.beyond.Load() == 0 {
		t.Error("a route has series beyond the bound")
	}
	now = now.Add(provenIdle)
	calls("used", 1)
	calls("late", 1)
	has("late", 1)
	has("used", provenCalls+2)
	if n := w.calls.series.sets.Load(); n != bound {
		t.Errorf("%d sets", n)
	}
}

// TestStrangeLabels: what a gateway names is never a reason to fail.
func TestStrangeLabels(t *testing.T) {
	w := newWhole(t, 10)
	r := exchange("\xff\n\"}\x1b[2J\u009b\u202e")
	r.Route.Consumer = strings.Repeat("ä", 1000)
	w.calls.Take(r)
	w.calls.Take(&correlator.CallRecord{Match: correlator.MatchExchange})
	text := scrape(t, w.Registry)
	if want := `fivetuple_calls_cut_total{consumer="` + strings.Repeat("ä", maxLabel/2) + `",route="\\xff\\n\"}\\u001b[2J\\u009b\\u202e",service="shop"} 0`; !strings.Contains(text, want) {
		t.Errorf("missing: %s", want)
	}
	for line := range strings.Lines(text) {
		if line = strings.TrimSuffix(line, "\n"); printable.String(line) != line {
			t.Errorf("not printable: %q", line)
		}
	}
}

// TestNoAddressIsALabel, nor anything else of a client's.
func TestNoAddressIsALabel(t *testing.T) {
	w := newWhole(t, 10)
	r := exchange("orders")
	w.calls.Take(r)
	text := scrape(t, w.Registry)
	for _, private := range []string{"192.0.2", "50000", "198.51.100", "9080", "secret", r.FlowID} {
		if strings.Contains(text, private) {
			t.Errorf("%s is in the metrics", private)
		}
	}
	known := map[string]bool{
		"route": true, "service": true, "consumer": true, "match": true, "part": true, "direction": true, "reason": true, "table": true,
		"queue": true, "source": true, "result": true, "signal": true, "answer": true, "version": true, "layout": true, "kind": true,
	}
	families, err := w.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if !known[l.GetName()] {
					t.Errorf("%s has the label %s", f.GetName(), l.GetName())
				}
			}
		}
	}
}

// TestOnlyFlagsAreCounted: a call that is not flagged is in none, whatever its facts are; signals that no call had are no series.
func TestOnlyFlagsAreCounted(t *testing.T) {
	w := newWhole(t, 10)
	r := exchange("orders")
	r.Flagged = false
	w.calls.Take(r)
	if n := count(t, w, "fivetuple_call_flags_total"); n != 0 {
		t.Errorf("%d series of signals", n)
	}
	r.Flagged, r.Match = true, correlator.MatchShared
	w.calls.Take(r)
	text := scrape(t, w.Registry)
	if n := count(t, w, "fivetuple_call_flags_total"); n != 2 || !strings.Contains(text, `fivetuple_calls_flagged_total{consumer="jack",route="orders",service="shop"} 1`) {
		t.Errorf("%d series of signals: %s", n, text)
	}
}
