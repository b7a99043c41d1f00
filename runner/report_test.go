package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"fivetuple/bpf"
	"fivetuple/conf"
	"fivetuple/correlator"
	"fivetuple/correlator/signal"
	"fivetuple/runner/metrics"
	"fivetuple/runner/report"
)

const reportTables = `Calls that ended from 2026-07-30 11:05:00Z to 2026-07-30 12:00:12Z.
Times are p50/p90/p99 in ms, within 1 % of the time at that rank, of calls that are exact (had exchanges of their own) and whole.

ROUTE           CALLS  EXACT   TOTAL ms               NETWORK            WAIT               UPSTREAM              RESPONSE
orders          1200   99.9%   12.001/80.000/300.250  8.000/9.000/9.900  0.100/0.200/1.000  4.000/70.000/290.000  0.000/0.000/2.000
\u001b[31mcart  3      100.0%  -                      -                  -                  -                     -

ROUTE           IN B     OUT B    RETRANS IN  RETRANS OUT  FLAGGED  SIGNALS
orders          1324800  7512000  0.25%       1.50%        3        retransmit 2, port-scan 3
\u001b[31mcart  0        0        -           -            0        -

GATEWAY  CALLS  FLAGGED  LAST SEEN             CLOCK   FOLDED
gw-1     1000   3        2026-07-30 12:00:12Z  -       -
gw-2     203    0        2026-07-30 11:59:58Z  -12 ms  90 of 7 routes

Folded: calls of routes that are under _other, because the gateways have more routes than the 10000 that a report tells apart;
they are named by the gateways in turn, by each its busiest ones.

Left out: 2 values of another version, 1 damaged ones.
`

func sampleReport() *report.Report {
	to := time.Date(2026, 7, 30, 12, 0, 12, 0, time.UTC)
	in, out, behind := 0.0025, 0.015, int64(-12)
	return &report.Report{
		From: to.Truncate(time.Hour).Add(-55 * time.Minute), To: to, Accuracy: 0.01,
		Routes: []report.Route{{
			Route: "orders", Calls: 1200, ExactShare: 0.999, Timed: 1190,
			Total: &report.Quantiles{P50: 12.001, P90: 80, P99: 300.25}, Network: &report.Quantiles{P50: 8, P90: 9, P99: 9.9},
			Wait: &report.Quantiles{P50: 0.1, P90: 0.2, P99: 1}, Upstream: &report.Quantiles{P50: 4, P90: 70, P99: 290},
			Response: &report.Quantiles{P99: 2},
			Request:  report.Traffic{Bytes: 1324800, Ratio: &in}, Answer: report.Traffic{Bytes: 7512000, Ratio: &out},
			Flagged: 3, Flags: report.Flags{signal.Retransmit: 2, signal.PortScan: 3},
		}, {Route: "\x1b[31mcart", Calls: 3, ExactShare: 1}},
		Gateways: []report.Gateway{
			{Gateway: "gw-1", Calls: 1000, Flagged: 3, LastSeen: to},
			{Gateway: "gw-2", Calls: 203, LastSeen: to.Add(-14 * time.Second), ClockOffset: &behind, FoldedRoutes: 7, FoldedCalls: 90},
		},
		Skipped: report.Skipped{Version: 2, Damaged: 1},
	}
}

func TestReportTables(t *testing.T) {
	var out bytes.Buffer
	if err := printReport(&out, sampleReport(), report.Query{}); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(reportTables, out.String()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// reportCommand runs `fivetuple report` under some settings.
func reportCommand(t *testing.T, settings string, args ...string) (string, error) {
	t.Helper()
	config := filepath.Join(t.TempDir(), "fivetuple.yaml")
	if err := os.WriteFile(config, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	root := newRootCommand()
	root.SetArgs(append([]string{"report", "--config", config}, args...))
	root.SetOut(&out)
	err := root.ExecuteContext(t.Context())
	return out.String(), err
}

// servedOutput is a runner's output that serves on an address until the test ends.
func servedOutput(t *testing.T) (out *output, address string) {
	t.Helper()
	address = freeAddress(t)
	c := conf.Default()
	c.Calls.File, c.Metrics.Listen, c.Agent.Pins.Path = "", address, t.TempDir()
	out, _ = outputOf(t, c)
	reader, err := bpf.NewReader(c.Agent.Pins.Path, c.Correlator.Stale, out.clock)
	if err != nil {
		t.Fatal(err)
	}
	cor, err := correlator.New(out.table(reader), c.Correlator, out.sink(), nil)
	if err != nil {
		t.Fatal(err)
	}
	records := newRecords(func() metrics.Readiness { return readinessOf(reader.State(), c.Agent.Interfaces) }, zerolog.Nop())
	out.start(t.Context(), cor, records, metrics.Place{Address: address}, zerolog.Nop())
	t.Cleanup(func() { out.close(zerolog.Nop()) })
	return out, address
}

// untilReported runs the command until its answer has a text: the runner serves and counts in goroutines of its own.
func untilReported(t *testing.T, settings, has string, args ...string) string {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		text, err := reportCommand(t, settings, args...)
		if err == nil && strings.Contains(text, has) {
			return text
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v, without %q:\n%s", err, has, text)
		}
	}
}

// TestReportCommand: a runner's calls are in the report, of all routes or of one.
func TestReportCommand(t *testing.T) {
	out, address := servedOutput(t)
	settings := "metrics: {listen: " + address + "}"
	untilReported(t, settings, "no call has ended from ")
	out.sink()(finishedCall(out))
	timed := finishedCall(out)
	timed.Route.Route, timed.Match, timed.Reason = "carts", correlator.MatchExchange, ""
	timed.Split = correlator.Split{Serving: 9_000_000, Total: 9_000_000}
	out.sink()(timed)
	text := untilReported(t, settings, "carts", "--since", "24h")
	if !strings.Contains(text, "\ncarts   1      100.0%  9.0") || !strings.Contains(text, "\norders  1      0.0%    -") {
		t.Error(text)
	}
	if text := untilReported(t, settings, "carts", "--route", "carts"); strings.Contains(text, "orders") {
		t.Error(text)
	}
	untilReported(t, settings, "no call of the route users has ended", "--route", "users")
	var r report.Report
	if err := json.Unmarshal([]byte(untilReported(t, settings, "carts", "--format", "json")), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Routes) != 2 || len(r.Gateways) != 1 || r.Gateways[0].Calls != 2 || r.To.Before(r.From) {
		t.Errorf("%+v", r)
	}
}

// TestReportSaysWhatIsWrong: and fails.
func TestReportSaysWhatIsWrong(t *testing.T) {
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	nobody := httptest.NewServer(http.NotFoundHandler())
	nobody.Close()
	at := func(s *httptest.Server) string {
		return "metrics: {listen: " + strings.TrimPrefix(s.URL, "http://") + "}"
	}
	for _, c := range []struct {
		settings string
		args     []string
		want     string
		is       error
	}{
		{`metrics: {listen: ""}`, nil, "metrics.listen is empty", errNoFigures},
		{at(nobody), nil, "no runner answers at 127.0.0.1:", report.ErrNoRunner},
		{at(other), nil, `no report at 127.0.0.1:`, report.ErrNoReport},
		{at(nobody), []string{"--format", "xml"}, `neither table nor json: "xml"`, errFormat},
		{at(nobody), []string{"--since", "25h"}, "--since: not a time that a report goes back: 25h0m0s is not in 1m0s..24h0m0s", nil},
		{"nonsense: 1", nil, "unknown key", nil},
	} {
		text, err := reportCommand(t, c.settings, c.args...)
		if err == nil || !strings.Contains(err.Error(), c.want) || c.is != nil && !errors.Is(err, c.is) || text != "" {
			t.Errorf("%v: %v, want %s; %s", c.args, err, c.want, text)
		}
	}
}
