package stack_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"fivetuple/examples/lab"
	"fivetuple/examples/stack"
)

// logged is a line of the log, as far as it is looked at here.
type logged struct {
	Route       string  `json:"apisix.route_id"`
	Method      string  `json:"http.request.method"`
	Path        *string `json:"url.path"`
	Trace       string  `json:"trace_id"`
	RequestID   string  `json:"request_id"`
	Peer        string  `json:"network.peer.address"`
	PeerPort    int     `json:"network.peer.port"`
	Community   string  `json:"community_id"`
	Connection  uint64  `json:"connection"`
	Requests    int     `json:"connection_requests"`
	Match       string  `json:"match"`
	Reason      string  `json:"reason"`
	Missed      int     `json:"missed_calls"`
	First       int     `json:"exchange_first"`
	Last        int     `json:"exchange_last"`
	Partial     bool    `json:"partial"`
	NoLength    bool    `json:"length_unknown"`
	TLS         bool    `json:"tls.established"`
	Handshake   bool    `json:"tls_handshake"`
	Upgraded    bool    `json:"upgraded"`
	Cut         bool    `json:"cut"`
	Flagged     bool    `json:"flagged"`
	Bytes       int64   `json:"orig_ip_bytes"`
	Packets     int64   `json:"orig_pkts"`
	Payload     int64   `json:"orig_bytes"`
	SentPayload int64   `json:"orig_payload_bytes"`
	RespBytes   int64   `json:"resp_ip_bytes"`
	RespPackets int64   `json:"resp_pkts"`
	Response    int64   `json:"resp_bytes"`
	RespPayload int64   `json:"resp_payload_bytes"`
	AtFirst     float64 `json:"at_first_response_us"`
	AtLast      float64 `json:"at_last_response_us"`
	Total       float64 `json:"total_us"`
	Network     float64 `json:"network_us"`
	Arriving    float64 `json:"arriving_us"`
	Waiting     float64 `json:"waiting_us"`
	Serving     float64 `json:"serving_us"`
	Leaving     float64 `json:"leaving_us"`
}

// TestLogAndMetrics: what the upstream was told of each call is in the log and in the metrics of the same runner, which has
// no right but to read the tables.
func TestLogAndMetrics(t *testing.T) {
	address := freeAddress(t)
	ctx, s := start(t, stack.Options{Metrics: address})
	c := dial(ctx, t, s, lab.GatewayFrontIPv4)
	const calls = 5
	var told []stack.Insight
	for n := range calls {
		in, _ := do(t, c, stack.Post("/insight/post?secret=1", 3000*n, fmt.Sprintf("traceparent: 00-%032x-0123456789abcdef-01", n+1)))
		told = append(told, in)
	}
	local := c.Addr()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	var lines []logged
	waitUntil(t, func() bool { lines = readLog(t, s.CallsFile()); return len(lines) == calls })
	for n, l := range lines {
		in := told[n]
		if l.Route != "insight" || l.Method != http.MethodPost || l.Path != nil || l.Trace != fmt.Sprintf("%032x", n+1) || l.Requests != n+1 || l.Match != "exchange" || l.Cut {
			t.Errorf("call %d: %+v", n+1, l)
		}
		if net.JoinHostPort(l.Peer, fmt.Sprint(l.PeerPort)) != local.String() || l.Community != in.Flow {
			t.Errorf("call %d: the connection %s:%d %s, want %v %s", n+1, l.Peer, l.PeerPort, l.Community, local, in.Flow)
		}
		if l.Bytes < in.Size || !in.Partial && l.Bytes != in.Size || l.Payload < int64(3000*n) || l.Response == 0 {
			t.Errorf("call %d: %+v, the upstream was told %+v", n+1, l, in)
		}
		if sum := l.Network + l.Arriving + l.Waiting + l.Serving + l.Leaving; l.Total <= 0 || sum-l.Total > 0.01 || l.Total-sum > 0.01 {
			t.Errorf("call %d: the parts are %v of %v", n+1, sum, l.Total)
		}
	}
	text := scrapeOf(t, "http://"+address+"/metrics")
	for _, want := range []string{
		fmt.Sprintf(`fivetuple_calls_total{consumer="",match="exchange",route="insight",service=""} %d.0`, calls),
		fmt.Sprintf(`fivetuple_call_duration_seconds_count{consumer="",route="insight",service=""} %d`, calls),
		fmt.Sprintf(`fivetuple_plugin_calls_total{match="exchange"} %d.0`, calls),
		fmt.Sprintf(`fivetuple_log_lines_written_total %d.0`, calls),
		`fivetuple_queue_dropped_total{queue="log"} 0.0`, `fivetuple_tables_readable 1.0`,
		`fivetuple_table_inserted_total{table="flows"} `, `# {trace_id="0000000000000000000000000000000`,
	} {
		if !strings.Contains(text, "\n"+want) && !strings.Contains(text, " "+want) {
			t.Errorf("missing: %s", want)
		}
	}
	for _, private := range []string{lab.GatewayFrontIPv4, local.String(), "secret", "/insight"} {
		if strings.Contains(text, private) {
			t.Errorf("%s is in the metrics", private)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

// readLog reads the lines that are complete: the runner may be writing the next one.
func readLog(t *testing.T, file string) (lines []logged) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text[:bytes.LastIndexByte(text, '\n')+1]) {
		var l logged
		if err := json.Unmarshal(line, &l); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		lines = append(lines, l)
	}
	return lines
}

func scrapeOf(t *testing.T, url string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "application/openmetrics-text")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("status %d, %v", answer.StatusCode, err)
	}
	return string(text)
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// waitUntil waits for what has to come: a connection's last call is looked at when it has been silent.
func waitUntil(t *testing.T, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatal("waited too long")
		}
		time.Sleep(20 * time.Millisecond)
	}
}
