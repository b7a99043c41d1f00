package stack_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"fivetuple/examples/lab"
	"fivetuple/examples/stack"
)

// haproxyLine is a line of HAProxy's log: one request.
type haproxyLine struct {
	Trace    string `json:"trace"`
	Port     int    `json:"port"`     // of HAProxy's end of the connection to the server
	Status   int    `json:"status"`   // of the response
	Response int    `json:"response"` // ms that the server took until it had sent the response's head
	// What the request had, where the configuration captures it: of x-packet-match, -size, -flow and -tuple.
	Match, Size, Flow, Tuple string
}

// haproxyGlobals begin a configuration: what is logged, and a trace that tells a call's line in both logs. A thread of HAProxy
// drops a line while another one writes to the same pipe, so there is one.
const haproxyGlobals = `
global
  nbthread 1
  log stdout format raw local0
  stats socket %s mode 600 level admin
defaults
  mode http
  option http-ignore-probes
  option dontlognull
  log global
  log-format '{"trace":"%%[var(txn.trace)]","port":%%bp,"status":%%ST,"response":%%Tr,"match":%%{+Q}[capture.req.hdr(0)],"size":%%{+Q}[capture.req.hdr(1)],"flow":%%{+Q,+E}[capture.req.hdr(2)],"tuple":%%{+Q}[capture.req.hdr(3)]}'
  timeout connect 5s
  timeout client 30s
  timeout server 30s
  timeout check 2s
`

// haproxy is a running HAProxy.
type haproxy struct {
	*output
	t     *testing.T
	stats string // path of its socket
}

// haproxy starts HAProxy in a namespace, which accepts connections at an address.
func (w *site) haproxy(in *lab.Namespace, address, config string) *haproxy {
	w.t.Helper()
	dir := w.t.TempDir()
	h := &haproxy{t: w.t, stats: filepath.Join(dir, "stats.sock")}
	file := filepath.Join(dir, "haproxy.cfg")
	if err := os.WriteFile(file, []byte(fmt.Sprintf(haproxyGlobals, h.stats)+config), 0o600); err != nil {
		w.t.Fatal(err)
	}
	h.output = w.serve(in, address, "haproxy", "-db", "-f", file)
	return h
}

// requests waits until the log has n requests and returns them.
func (h *haproxy) requests(n int) (all []haproxyLine) {
	h.t.Helper()
	for deadline := time.Now().Add(recordsWait); len(h.lines(`{"trace":`)) < n && time.Now().Before(deadline); {
		time.Sleep(sweepEvery)
	}
	for _, text := range h.lines(`{"trace":`) {
		var l haproxyLine
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			h.t.Fatalf("%v: %s", err, text)
		}
		all = append(all, l)
	}
	if len(all) != n {
		h.t.Fatalf("HAProxy logged %d requests, want %d\n%s", len(all), n, h.output)
	}
	return all
}

// statistics returns the columns of a server in `show stat`.
func (h *haproxy) statistics(proxy, server string) map[string]string {
	h.t.Helper()
	c, err := net.Dial("unix", h.stats)
	if err != nil {
		h.t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "show stat\n"); err != nil {
		h.t.Fatal(err)
	}
	rows, err := csv.NewReader(c).ReadAll()
	if err != nil {
		h.t.Fatal(err)
	}
	for _, row := range rows[1:] {
		if row[0] == proxy && row[1] == server {
			columns := make(map[string]string)
			for i, name := range rows[0] {
				columns[name] = row[i]
			}
			return columns
		}
	}
	h.t.Fatalf("HAProxy has no server %s/%s", proxy, server)
	return nil
}

// number returns a column as a number.
func number(t *testing.T, columns map[string]string, name string) int {
	t.Helper()
	n, err := strconv.Atoi(columns[name])
	if err != nil {
		t.Fatalf("HAProxy's column %s: %v", name, err)
	}
	return n
}

// haproxyFront is the configuration of a HAProxy in front of the gateway: the certificate's file, and the server's address
// with its options.
const haproxyFront = `
frontend front
  bind 127.0.0.1:8080
  bind 127.0.0.1:8443 ssl crt %s alpn h2,http/1.1
  http-request set-var(txn.trace) uuid,regsub(-,,g)
  http-request set-header traceparent 00-%%[var(txn.trace)]-0123456789abcdef-01
  default_backend gateway
backend gateway
  http-reuse always
  server gw %s check inter 500ms pool-purge-delay 60s
`

// TestHAProxyInFront: a load balancer keeps a pool of connections, on which the requests of many clients follow each other. Each
// request has one line in both logs, on the same connection. Health checks, which are no requests, have none.
func TestHAProxyInFront(t *testing.T) {
	const requests, clients = 60, 8
	plain := net.JoinHostPort(lab.GatewayFrontIPv4, strconv.Itoa(stack.Port))
	secure := net.JoinHostPort(lab.GatewayFrontIPv4, strconv.Itoa(stack.TLSPort))
	for _, test := range []struct {
		name, server string
		client       []string // the end of curl's arguments, up to the path
		first, next  string   // what the log says of the first call of a connection, and of the others
	}{
		{"HTTP/1.1", plain, []string{"http://127.0.0.1:8080"}, "exchange", "exchange"},
		{"TLS and HTTP/2 to HAProxy", plain, []string{"--http2", "https://127.0.0.1:8443"}, "exchange", "exchange"},
		{
			"TLS to the gateway", secure + " ssl verify none alpn http/1.1",
			[]string{"http://127.0.0.1:8080"},
			"exchange;tls;handshake", "exchange;tls",
		},
		{"HTTP/2 to the gateway", plain + " proto h2", []string{"http://127.0.0.1:8080"}, "connection", "connection"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := openSite(t, stack.Options{TLS: certificate(t), Offloads: true})
			w.atOnce = true
			h := w.haproxy(w.s.Lab.Client, "127.0.0.1:8080", fmt.Sprintf(haproxyFront, w.pem(), test.server))
			args := append([]string{"--parallel", "--parallel-max", strconv.Itoa(clients)}, test.client...)
			args[len(args)-1] += fmt.Sprintf("/insight/[1-%d]?wait=5ms", requests)
			if got := w.curl(0, nil, args...); len(got) != requests {
				t.Fatalf("%d transfers, want %d", len(got), requests)
			}
			told := make(map[string]haproxyLine)
			for _, l := range h.requests(requests) {
				told[l.Trace] = l
			}
			w.wantNoSource()
			connections := make(map[int]bool)
			for _, l := range w.calls(requests) {
				line := told[l.Trace]
				delete(told, l.Trace)
				line.compare(t, l)
				want := test.next
				if !connections[l.PeerPort] {
					connections[l.PeerPort], want = true, test.first
				}
				if l.String() != want {
					t.Errorf("call %d of port %d: %v, want %s", l.Requests, l.PeerPort, l, want)
				}
			}
			stats := h.statistics("gateway", "gw")
			t.Logf("%s connections, used again %s times, health check: %s", stats["connect"], stats["reuse"], stats["check_status"])
			if number(t, stats, "connect") != len(connections) || number(t, stats, "reuse") != requests-len(connections) || number(t, stats, "chkfail") != 0 {
				t.Errorf("the log has %d connections, HAProxy: %v", len(connections), stats)
			}
		})
	}
}

// compare compares what HAProxy logged of a request with what we did; the upstream waited for 5 ms.
func (h haproxyLine) compare(t *testing.T, l logged) {
	t.Helper()
	if h.Port != l.PeerPort || h.Status != http.StatusOK {
		t.Errorf("call %s from port %d: HAProxy has %+v", l.Trace, l.PeerPort, h)
	}
	if ms := l.AtFirst / 1000; l.Match == "exchange" && !l.Handshake && (ms < 5 || ms > float64(h.Response+1)) {
		t.Errorf("call %s: the response began after %v ms; HAProxy waited for %d ms", l.Trace, ms, h.Response)
	}
}

// TestHAProxyBehind: HAProxy is the gateway's upstream. The sizes that it gets in headers are those that the capture shows, and
// it does not get the header that is for the runner.
func TestHAProxyBehind(t *testing.T) {
	const requests, clients = 40, 4
	address := net.JoinHostPort(lab.UpstreamIPv4, "1981")
	w := openSite(t, stack.Options{Upstream: address, Offloads: true})
	h := w.haproxy(w.s.Lab.Upstream, address, fmt.Sprintf(`
frontend front
  bind %s
  http-request capture req.hdr(x-packet-match) len 64
  http-request capture req.hdr(x-packet-size) len 64
  http-request capture req.hdr(x-packet-flow) len 64
  http-request capture req.hdr(x-packet-tuple) len 64
  default_backend echo
backend echo
  server echo %s check inter 500ms
`, address, stack.UpstreamAddress()))
	w.curl(0, nil, "--parallel", "--parallel-max", strconv.Itoa(clients), "-d", strings.Repeat("x", 300),
		url("http", lab.GatewayFrontIPv6, fmt.Sprintf("/insight/[1-%d]", requests)))
	told := h.requests(requests)
	calls := w.calls(requests)
	for _, l := range told {
		if l.Status != 200 || l.Tuple != "" {
			t.Errorf("HAProxy: %+v", l)
		}
		w.compareHeaders(calls, http.Header{"X-Packet-Match": {l.Match}, "X-Packet-Size": {l.Size}, "X-Packet-Flow": {l.Flow}})
	}
}
