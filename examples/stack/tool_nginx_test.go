package stack_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"fivetuple/examples/lab"
	"fivetuple/examples/stack"
)

// nginxConfig is a configuration without its server and without the format of its log.
const nginxConfig = `
daemon off;
user root;
worker_processes 2;
pid %[1]s/pid;
error_log stderr error;
events {}
http {
  log_format calls escape=json '%[2]s';
  access_log %[1]s/access.log calls;
  client_body_temp_path %[1]s/body;
  proxy_temp_path %[1]s/proxy;
  fastcgi_temp_path %[1]s/fastcgi;
  uwsgi_temp_path %[1]s/uwsgi;
  scgi_temp_path %[1]s/scgi;
  %[3]s
}
`

// nginx starts nginx in a namespace, which accepts connections at an address, and returns the path of its log.
func (w *site) nginx(in *lab.Namespace, address, line, servers string) (log string) {
	w.t.Helper()
	dir := w.t.TempDir()
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, fmt.Appendf(nil, nginxConfig, dir, line, servers), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.serve(in, address, "nginx", "-c", file)
	return filepath.Join(dir, "access.log")
}

// nginxLines waits until nginx's log has n lines and returns them.
func nginxLines[T any](t *testing.T, log string, n int) (lines []T) {
	t.Helper()
	var text []byte
	waitUntil(t, func() bool {
		text, _ = os.ReadFile(log)
		return strings.Count(string(text), "\n") >= n
	})
	for line := range strings.Lines(string(text)) {
		var l T
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		lines = append(lines, l)
	}
	if len(lines) != n {
		t.Fatalf("nginx logged %d requests, want %d", len(lines), n)
	}
	return lines
}

// nginxCall is a line of an nginx in front of the gateway (ngx_http_upstream_module): one request to the gateway.
type nginxCall struct {
	ID       string  `json:"id"`
	Status   int     `json:"status"`
	Sent     int64   `json:"sent"`     // bytes to the gateway
	Received int64   `json:"received"` // bytes from the gateway
	Header   float64 `json:"header"`   // seconds until the response's head was there
}

// TestNginxInFront: nginx passes the requests of many clients on, over connections that it keeps. Its log and ours have the same
// bytes for each, and the same connections as the capture.
func TestNginxInFront(t *testing.T) {
	const requests, clients, kept = 60, 8, 4
	for _, test := range []struct {
		name, listen string
		client       string
	}{
		{"cleartext", "listen 127.0.0.1:8080", "http://127.0.0.1:8080"},
		{"TLS to nginx", "listen 127.0.0.1:8080 ssl http2", "https://127.0.0.1:8080"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := openSite(t, stack.Options{Offloads: true})
			pem := w.pem()
			log := w.nginx(w.s.Lab.Client, "127.0.0.1:8080",
				`{"id":"$request_id","status":$status,"sent":$upstream_bytes_sent,"received":$upstream_bytes_received,"header":$upstream_header_time}`,
				fmt.Sprintf(`
  upstream gateway { server %s:%d; keepalive %d; }
  server {
    %s;
    ssl_certificate %s;
    ssl_certificate_key %[5]s;
    location / {
      proxy_pass http://gateway;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header traceparent 00-$request_id-0123456789abcdef-01;
    }
  }`, lab.GatewayFrontIPv4, stack.Port, kept, test.listen, pem))
			w.curl(0, nil, "--parallel", "--parallel-max", strconv.Itoa(clients), "-d", strings.Repeat("x", 30_000),
				test.client+fmt.Sprintf("/insight/[1-%d]?pad=20000&wait=5ms", requests))
			wanted := make(map[string]nginxCall)
			for _, l := range nginxLines[nginxCall](t, log, requests) {
				wanted[l.ID] = l
			}
			w.wantNoSource()
			connections := make(map[int]bool)
			for _, l := range w.calls(requests) {
				connections[l.PeerPort] = true
				n, ok := wanted[l.Trace]
				delete(wanted, l.Trace)
				if !ok || n.Status != http.StatusOK || n.Sent != l.Payload || n.Received != l.Response {
					t.Errorf("%s: %d bytes came and %d went; nginx's log has %+v", l.Trace, l.Payload, l.Response, n)
				}
				if ms := l.AtFirst / 1000; l.String() != "exchange" || ms < 5 || ms > n.Header*1000+1 {
					t.Errorf("%s: %v; the response began after %v ms; nginx waited for %v s", l.Trace, l, ms, n.Header)
				}
			}
			if len(connections) >= requests {
				t.Errorf("%d connections for %d requests: nginx kept none", len(connections), requests)
			}
			t.Logf("%d connections", len(connections))
		})
	}
}

// nginxRequest is a line of an nginx behind the gateway: one request from the gateway.
type nginxRequest struct {
	Status        int   `json:"status"`
	Port          int   `json:"port"` // of the gateway's end
	Connection    int   `json:"connection"`
	RequestLength int64 `json:"request_length"` // bytes, head and body
	BytesSent     int64 `json:"bytes_sent"`     // bytes, head and body
	// What the request had of our headers.
	Match, Size, Flow, Tuple string
}

// TestNginxBehind: nginx is the gateway's upstream and serves a file. The sizes that it gets in headers are those that the capture
// shows, its own count of the bytes of each connection is that of a capture there, and what it sends reaches the client.
func TestNginxBehind(t *testing.T) {
	const requests, clients, length = 40, 4, 50_000
	address := net.JoinHostPort(lab.UpstreamIPv4, "1981")
	w := openSite(t, stack.Options{Upstream: address, Offloads: true})
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "file"), make([]byte, length), 0o600); err != nil {
		t.Fatal(err)
	}
	log := w.nginx(w.s.Lab.Upstream, address,
		`{"status":$status,"port":$remote_port,"connection":$connection,"request_length":$request_length,"bytes_sent":$bytes_sent,`+
			`"match":"$http_x_packet_match","size":"$http_x_packet_size","flow":"$http_x_packet_flow","tuple":"$http_x_packet_tuple"}`,
		fmt.Sprintf("server { listen %s; root %s; rewrite ^ /file break; }", address, root))
	back, err := w.s.Lab.Gateway.Capture(lab.GatewayBackInterface, lab.CaptureOptions{})
	if err != nil {
		t.Fatal(err)
	}
	transfers := w.curl(0, nil, "--parallel", "--parallel-max", strconv.Itoa(clients), "-o", "/dev/null",
		url("http", lab.GatewayFrontIPv4, fmt.Sprintf("/insight/[1-%d]", requests)))
	for _, x := range transfers {
		if x.Download != length {
			t.Errorf("curl got %d bytes", x.Download)
		}
	}
	told, calls := nginxLines[nginxRequest](t, log, requests), w.calls(requests)
	if err := back.Stop(); err != nil {
		t.Fatal(err)
	}
	sums := make(map[int]nginxRequest) // by port
	for _, l := range told {
		if l.Status != http.StatusOK || l.Tuple != "" {
			t.Errorf("nginx: %+v", l)
		}
		w.compareHeaders(calls, http.Header{"X-Packet-Match": {l.Match}, "X-Packet-Size": {l.Size}, "X-Packet-Flow": {l.Flow}})
		sum := sums[l.Port]
		sum.RequestLength, sum.BytesSent = sum.RequestLength+l.RequestLength, sum.BytesSent+l.BytesSent
		sums[l.Port] = sum
	}
	for key, flow := range lab.Flows(back.Packets(), nil) {
		port := int(key.Local.Port())
		rx, tx := resent(flow)
		if sum := sums[port]; flow.TX.Payload-tx != uint64(sum.RequestLength) || flow.RX.Payload-rx != uint64(sum.BytesSent) {
			t.Errorf("from port %d: nginx got %d bytes and sent %d, the capture has %d and %d", port, sum.RequestLength, sum.BytesSent,
				flow.TX.Payload-tx, flow.RX.Payload-rx)
		}
		delete(sums, port)
	}
	if len(sums) > 0 {
		t.Errorf("the capture does not have the connections of %+v", sums)
	}
}
