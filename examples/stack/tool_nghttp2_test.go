package stack_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"fivetuple/examples/lab"
	"fivetuple/examples/stack"
)

// h2load's counts (h2load(1)): of requests, and of the bytes that it got.
var (
	h2loadRequests = regexp.MustCompile(`(?m)^requests: (\d+) total, \d+ started, \d+ done, (\d+) succeeded, 0 failed, 0 errored, 0 timeout$`)
	h2loadTraffic  = regexp.MustCompile(`(?m)^traffic: \S+ \((\d+)\) total`)
)

// goAway is the length of the frame that the gateway answers the end of a connection with. A client may have gone by then.
const goAway = 9 + 8

// h2load runs h2load in the client's namespace and returns how many bytes it got.
func (w *site) h2load(requests int, args ...string) (bytes int64) {
	w.t.Helper()
	out := w.run(w.s.Lab.Client, 0, nil, "h2load", args...)
	counts, traffic := h2loadRequests.FindStringSubmatch(out), h2loadTraffic.FindStringSubmatch(out)
	if counts == nil || traffic == nil || counts[1] != strconv.Itoa(requests) || counts[2] != counts[1] {
		w.t.Fatalf("h2load:\n%s", out)
	}
	bytes, _ = strconv.ParseInt(traffic[1], 10, 64)
	return bytes
}

// TestH2load: h2load makes many calls on a few connections. The log has as many, the bytes that h2load got are those that
// the log has, and each connection has all that the capture shows.
func TestH2load(t *testing.T) {
	const requests, connections = 200, 4
	body := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(body, make([]byte, 20_000), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		args []string
		// want are the matches that calls may have. Where requests are pipelined, one may have come alone.
		want []string
		// atOnce: many streams. Some of their bytes may be in no call's figures.
		atOnce, tls bool
	}{
		{name: "HTTP/2, a stream at a time", args: []string{"-m", "1", url("http", lab.GatewayFrontIPv4, "/insight/1?pad=900")}, want: []string{"connection"}},
		{name: "HTTP/2, many streams", args: []string{"-m", "30", "-d", body, url("http", lab.GatewayFrontIPv6, "/insight/2?pad=900")}, want: []string{"connection"}, atOnce: true},
		{name: "HTTP/2 over TLS, many streams", args: []string{"-m", "30", url("https", lab.GatewayFrontIPv4, "/insight/3?pad=9000")}, want: []string{"connection;tls"}, atOnce: true, tls: true},
		{name: "HTTP/1.1", args: []string{"--h1", "-d", body, url("http", lab.GatewayFrontIPv6, "/insight/4")}, want: []string{"exchange"}},
		{name: "HTTP/1.1, pipelined", args: []string{"--h1", "-m", "10", url("http", lab.GatewayFrontIPv4, "/insight/5")}, want: []string{"shared", "exchange"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := openSite(t, stack.Options{TLS: certificate(t), Offloads: true})
			w.atOnce = test.atOnce
			got := w.h2load(requests, append([]string{"-n", strconv.Itoa(requests), "-c", strconv.Itoa(connections)}, test.args...)...)
			matches, on, sum := make(map[string]int), make(map[int]int), int64(0)
			for _, l := range w.calls(requests) {
				matches[l.String()]++
				on[l.PeerPort]++
				sum += l.RespPayload
			}
			for _, flow := range lab.Flows(w.capture.Packets(), nil) {
				_, again := resent(flow)
				sum -= int64(again)
			}
			if more := sum - got; !test.tls && more > connections*goAway || !test.atOnce && (more < 0 || more%goAway != 0) {
				t.Errorf("%d bytes went, h2load got %d", sum, got)
			}
			total := 0
			for _, match := range test.want {
				total += matches[match]
			}
			if total != requests || matches[test.want[0]] == 0 {
				t.Errorf("matches: %v, want %v", matches, test.want)
			}
			for port, n := range on {
				if n != requests/connections || len(on) != connections {
					t.Errorf("%d calls from port %d, on %d connections; h2load made %d on each of %d", n, port, len(on), requests/connections, connections)
				}
			}
		})
	}
}

// nghttpFrame is a frame that nghttp prints: which way it went, and the length of its payload.
var nghttpFrame = regexp.MustCompile(`(?m)^\[ *[\d.]+\] (send|recv) \S+ frame <length=(\d+),`)

// TestNghttp: the frames that nghttp prints of a call are all that was sent for it, and got.
func TestNghttp(t *testing.T) {
	const preface, frameHead = 24, 9 // RFC 9113, 3.4 and 4.1
	w := openSite(t, stack.Options{Offloads: true})
	body := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(body, make([]byte, 30_000), 0o600); err != nil {
		t.Fatal(err)
	}
	type bytes struct{ sent, got int64 }
	var want []bytes
	for _, args := range [][]string{
		{url("http", lab.GatewayFrontIPv4, "/insight/get?pad=100000")},
		{"-d", body, url("http", lab.GatewayFrontIPv6, "/insight/post")},
		{"-H", ":method: PUT", "-d", body, "--no-content-length", url("http", lab.GatewayFrontIPv4, "/insight/put?wait=20ms")},
	} {
		out := w.run(w.s.Lab.Client, 0, nil, "nghttp", append([]string{"-nv"}, args...)...)
		sum := bytes{sent: preface}
		for _, frame := range nghttpFrame.FindAllStringSubmatch(out, -1) {
			length, _ := strconv.ParseInt(frame[2], 10, 64)
			if frame[1] == "send" {
				sum.sent += frameHead + length
			} else {
				sum.got += frameHead + length
			}
		}
		want = append(want, sum)
	}
	calls := w.calls(len(want))
	flows := lab.Flows(w.capture.Packets(), nil)
	for i, l := range calls {
		rx, tx := resent(flowOf(flows, l.peer()))
		more := l.RespPayload - int64(tx) - want[i].got
		if l.String() != "connection" || l.SentPayload-int64(rx) != want[i].sent || more != 0 && more != goAway {
			t.Errorf("call %d: %v, %d bytes came and %d went; nghttp: %+v", i+1, l, l.SentPayload, l.RespPayload, want[i])
		}
	}
}
