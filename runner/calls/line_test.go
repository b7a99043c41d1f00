package calls

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fivetuple/correlator"
)

// TestGoldenLines holds each line to the byte.
func TestGoldenLines(t *testing.T) {
	o := options(t)
	o.Path = PathFull
	got := written(t, o, full(), unmatched())
	want := []string{
		`{"time":"2026-11-24T12:00:01.000000Z","apisix.route_id":"orders","apisix.service_id":"shop","apisix.consumer_name":"jack",` +
			`"http.request.method":"POST","url.path":"/orders/17","request_id":"f00d","trace_id":"4bf90000000000000000000000000036",` +
			`"network.transport":"tcp","network.type":"ipv4","network.peer.address":"192.0.2.77","network.peer.port":50000,` +
			`"network.local.address":"198.51.100.9","network.local.port":9080,"community_id":"1:YdSKWGovYWA0tsZ6dxFluGxHfwc=",` +
			`"connection_start":"2026-11-24T12:00:00.500000Z","connection":17,"connection_requests":3,"request_length":180,` +
			`"match":"shared","reason":"early-response","missed_calls":2,"exchange_first":3,"exchange_last":4,"partial":true,` +
			`"length_unknown":true,"tls.established":true,"tls_handshake":true,"upgraded":true,"cut":true,` +
			`"anomaly_score":0.889,"anomaly_signals":"retransmit rtt","flagged":true,` +
			`"orig_bytes":900,"orig_pkts":2,"orig_ip_bytes":1104,"orig_payload_bytes":1000,"orig_retransmitted_pkts":1,` +
			`"orig_out_of_order_pkts":2,"orig_zero_window_pkts":3,` +
			`"resp_bytes":5900,"resp_pkts":5,"resp_ip_bytes":6260,"resp_payload_bytes":6000,"resp_retransmitted_pkts":4,` +
			`"resp_out_of_order_pkts":5,"resp_zero_window_pkts":6,"rtt_us":23120,"rtt_min_us":21090,"rtt_handshake_us":22000,` +
			`"at_last_request_us":100.5,"at_plugin_us":200,"at_first_response_us":10000,"at_last_response_us":11000,` +
			`"at_acknowledged_us":34000.001,"total_us":34000.001,"network_us":23000.001,"arriving_us":100.5,"waiting_us":99.5,` +
			`"serving_us":9800,"leaving_us":1000}`,
		`{"time":"2026-11-24T12:00:02.000000Z","apisix.route_id":"global","http.request.method":"GET","network.transport":"tcp",` +
			`"network.type":"ipv6","network.peer.address":"2001:db8::77","network.peer.port":50000,` +
			`"network.local.address":"2001:db8:1::9","network.local.port":9080,"community_id":"1:/CRAAF32PqGqyIzreThQP5+BqRI=",` +
			`"connection":18,"connection_requests":1,"request_length":90,"match":"none","reason":"unknown-flow"}`,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestEveryFieldIsDocumented holds the table of conf/calls.md against the fields that the log writes, in their order.
func TestEveryFieldIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../conf/calls.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(string(text), -1) {
		documented = append(documented, m[1])
	}
	o := options(t)
	o.Path = PathFull
	fields := fieldsOf(t, written(t, o, full())[0])
	at := slices.Index(fields, "url.path")
	fields = slices.Insert(fields, at+1, "url.path_hash")
	if d := cmp.Diff(fields, documented); d != "" {
		t.Errorf("fields written (-) and documented (+):\n%s", d)
	}
}

// fieldsOf returns a line's keys in their order; a key that stands twice is an error.
func fieldsOf(t *testing.T, line string) []string {
	t.Helper()
	var fields []string
	d := json.NewDecoder(strings.NewReader(line))
	for i := 0; ; i++ {
		token, err := d.Token()
		if err != nil {
			break
		}
		if key, ok := token.(string); ok && i%2 == 1 {
			if slices.Contains(fields, key) {
				t.Errorf("%s stands twice", key)
			}
			fields = append(fields, key)
		}
	}
	return fields
}

// TestHostileText: what a client or a gateway named stays in its string.
func TestHostileText(t *testing.T) {
	r := full()
	r.Path = "/\"},\n{\"x\": \x00\xff\u2028"
	r.RequestID = correlator.NewText("\n\x1b[31m")
	o := options(t)
	o.Path = PathFull
	lines := written(t, o, r)
	var object map[string]any
	if len(lines) != 1 || json.Unmarshal([]byte(lines[0]), &object) != nil {
		t.Fatalf("%q", lines)
	}
	if object["request_id"] != "\n\x1b[31m" || !strings.HasPrefix(object["url.path"].(string), "/\"},\n{\"x\": \x00") {
		t.Errorf("%q", lines[0])
	}
}
