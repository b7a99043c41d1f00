package stack_test

import (
	"encoding/json"
	"io"
	"strings"
	"testing"

	"fivetuple/examples/lab"
	"fivetuple/examples/stack"
)

// transfer is what curl prints of one (-w '%{json}', curl(1)). Sizes are in bytes, times in seconds since it began.
type transfer struct {
	LocalPort     int     `json:"local_port"`
	Connects      int     `json:"num_connects"`
	HTTP          string  `json:"http_version"`
	Status        int     `json:"response_code"`
	Request       int64   `json:"size_request"` // the request's head
	Upload        int64   `json:"size_upload"`  // its body, with the framing of chunks
	Header        int64   `json:"size_header"`  // the response's head, and that of an interim response
	Download      int64   `json:"size_download"`
	Connect       float64 `json:"time_connect"`
	AppConnect    float64 `json:"time_appconnect"` // TLS; 0 without
	StartTransfer float64 `json:"time_starttransfer"`
	Total         float64 `json:"time_total"`
}

// curl runs curl in the client's namespace, which must end with a status, and returns its transfers.
func (w *site) curl(status int, stdin io.Reader, args ...string) (transfers []transfer) {
	w.t.Helper()
	out := w.run(w.s.Lab.Client, status, stdin, "curl", append([]string{"-sS", "-k", "-w", "\n%{json}\n"}, args...)...)
	for line := range strings.Lines(out) {
		if !strings.Contains(line, `"num_connects":`) {
			continue // of a body
		}
		var one transfer
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			w.t.Fatalf("%v: %s", err, line)
		}
		transfers = append(transfers, one)
	}
	return transfers
}

// curlCase is a way to use curl, with what curl must print and the log must say of it.
type curlCase struct {
	name   string
	args   []string
	stdin  string
	exit   int
	http   string
	status int
	want   []string // of each transfer, as logged.String has it
	opens  []int    // connections of each transfer; nil: the first one opens the only connection
	// sizes: the log's bytes are those that curl counts; not so with TLS and HTTP/2, whose framing curl does not count.
	sizes bool
	// uploads: time_starttransfer is not the response's then.
	uploads bool
}

func curlCases() []curlCase {
	three := func(match string) []string { return []string{match, match, match} }
	body := strings.Repeat("x", 100_000)
	const v4, v6 = lab.GatewayFrontIPv4, lab.GatewayFrontIPv6
	return []curlCase{
		{
			name: "keep-alive", args: []string{url("http", v4, "/insight/[1-3]")},
			http: "1.1", status: 200, want: three("exchange"), sizes: true,
		},
		{
			name: "HTTP/1.0", args: []string{"-0", url("http", v6, "/insight/[1-3]")},
			http: "1.1", status: 200, want: three("exchange"), opens: []int{1, 1, 1}, sizes: true,
		},
		{
			name: "Connection: close", args: []string{"-H", "Connection: close", url("http", v4, "/insight/[1-3]?wait=30ms")},
			http: "1.1", status: 200, want: three("exchange"), opens: []int{1, 1, 1}, sizes: true,
		},
		{
			name: "HEAD", args: []string{"-I", url("http", v6, "/insight/[1-3]")},
			http: "1.1", status: 200, want: three("exchange"), sizes: true,
		},
		{
			name: "Expect: 100-continue", args: []string{
				"-H", "Expect: 100-continue", "--expect100-timeout", "30", "-d", body, url("http", v4, "/insight/[1-3]"),
			},
			http: "1.1", status: 200, want: three("exchange"), sizes: true, uploads: true,
		},
		{
			name: "a body from standard input", stdin: body, args: []string{"-T", "-", url("http", v6, "/insight/put")},
			http: "1.1", status: 200, want: []string{"exchange;length=unknown"}, sizes: true, uploads: true,
		},
		{
			name: "a large response", args: []string{url("http", v6, "/insight/[1-3]?pad=1000000")},
			http: "1.1", status: 200, want: three("exchange"), sizes: true,
		},
		{ // a gateway that does not want to change the protocol goes on with HTTP/1.1
			name: "--http2", args: []string{"--http2", url("http", v4, "/insight/[1-3]")},
			http: "1.1", status: 200, want: three("exchange"), sizes: true,
		},
		{ // one transfer: the second one on a connection fails in curl 7.88, whatever the server is
			name: "--http2-prior-knowledge", args: []string{"--http2-prior-knowledge", url("http", v6, "/insight/1?wait=30ms")},
			http: "2", status: 200, want: []string{"connection"},
		},
		{
			name: "--http2 over TLS", args: []string{"--http2", url("https", v4, "/insight/[1-3]")},
			http: "2", status: 200, want: three("connection;tls"),
		},
		{
			name: "--http2 over TLS, with a body", args: []string{"--http2", "-d", body, url("https", v6, "/insight/[1-3]")},
			http: "2", status: 200, want: three("connection;tls"),
		},
		{
			name: "TLS 1.3", args: []string{"--http1.1", url("https", v6, "/insight/[1-3]?wait=30ms")},
			http: "1.1", status: 200, want: []string{"exchange;tls;handshake", "exchange;tls", "exchange;tls"},
		},
		{
			name: "TLS 1.2", args: []string{"--http1.1", "--tls-max", "1.2", "-d", body, url("https", v4, "/insight/[1-3]")},
			http: "1.1", status: 200, want: []string{"exchange;tls;handshake", "exchange;tls", "exchange;tls"}, uploads: true,
		},
		{ // it gives up; the upstream answers behind that
			name: "-m 0.3", args: []string{"-m", "0.3", url("http", v4, "/insight/slow?wait=600ms")}, exit: 28,
			http: "0", status: 0, want: []string{"exchange"},
		},
		{ // curl does not know the protocol that it asked for: it waits for the final response
			name: "WebSocket", args: []string{
				"-m", "0.3", "-H", "Connection: Upgrade", "-H", "Upgrade: websocket", url("http", v6, "/websocket/chat"),
			},
			exit: 28, http: "1.1", status: 101, want: []string{"exchange"}, sizes: true,
		},
	}
}

// TestCurl makes calls with curl in many ways. Each call has one line in the log, with the packets and bytes that the capture
// shows and the bytes that curl counted, on the connection that curl used; moments lie between those that curl saw.
func TestCurl(t *testing.T) {
	w := openSite(t, stack.Options{TLS: certificate(t), Offloads: true})
	var transfers [][]transfer
	calls := 0
	for _, c := range curlCases() {
		got := w.curl(c.exit, strings.NewReader(c.stdin), c.args...)
		if len(got) != len(c.want) {
			t.Fatalf("%s: %d transfers, want %d", c.name, len(got), len(c.want))
		}
		transfers = append(transfers, got)
		calls += len(got)
	}
	w.wantNoSource()
	of := make(map[int][]logged) // by the client's port
	for _, l := range w.calls(calls) {
		of[l.PeerPort] = append(of[l.PeerPort], l)
	}
	for i, c := range curlCases() {
		for n, x := range transfers[i] {
			rest := of[x.LocalPort]
			if len(rest) == 0 {
				t.Errorf("%s: the log has no call from port %d", c.name, x.LocalPort)
				continue
			}
			of[x.LocalPort] = rest[1:]
			c.compare(t, n, x, rest[0])
		}
	}
}

// compare compares what curl printed of its n-th transfer with what the log says.
func (c curlCase) compare(t *testing.T, n int, x transfer, l logged) {
	t.Helper()
	opens := 0
	switch {
	case c.opens != nil:
		opens = c.opens[n]
	case n == 0:
		opens = 1
	}
	if x.Connects != opens || x.HTTP != c.http || x.Status != c.status {
		t.Errorf("%s, %d: curl: %+v, want %d new connections, HTTP/%s, status %d", c.name, n+1, x, opens, c.http, c.status)
	}
	if l.String() != c.want[n] {
		t.Errorf("%s, %d: %v, want %s", c.name, n+1, l, c.want[n])
	}
	if c.sizes && (l.Payload != x.Request+x.Upload || l.Response != x.Header+x.Download) {
		t.Errorf("%s, %d: %d bytes came and %d went; curl sent %d + %d and got %d + %d", c.name, n+1, l.Payload, l.Response,
			x.Request, x.Upload, x.Header, x.Download)
	}
	last := n == len(c.want)-1
	if l.Match != "exchange" || l.TLS && (n == 0 || last) || c.exit != 0 {
		return // the end of the TLS handshake, and that of the TLS connection, are in the moments of the call beside them
	}
	// The request came after curl had connected, and the response went before curl got it.
	if connected := max(x.Connect, x.AppConnect) * 1e6; l.AtLast > x.Total*1e6-connected ||
		!c.uploads && l.AtFirst > x.StartTransfer*1e6-connected {
		t.Errorf("%s, %d: the response began after %v us and ended after %v us; curl: %+v", c.name, n+1, l.AtFirst, l.AtLast, x)
	}
	if strings.Contains(c.args[len(c.args)-1], "wait=30ms") && l.AtFirst < 30_000 {
		t.Errorf("%s, %d: the response began after %v us; the upstream waited for 30 ms", c.name, n+1, l.AtFirst)
	}
}
