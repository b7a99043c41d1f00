package gateway

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// lengthSnippet puts what the gateway knows at plugin time where a test can see it.
const lengthSnippet = "  http_server_location_configuration_snippet: 'more_set_input_headers \"X-Known: $connection $connection_requests $request_length\";'\n"

func known(t *testing.T, s *stand) []string {
	t.Helper()
	var all []string
	for _, call := range s.runner.calls(t) {
		all = append(all, valuesOf(call.Headers, "x-known")...)
	}
	return all
}

func TestRequestLengthIsThisRequestsHead(t *testing.T) {
	s := newStand(t, standOptions{snippets: lengthSnippet})
	heads := []string{
		get("/first"),
		"POST /second HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n",
		"POST /third HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
		"GET /fourth HTTP/1.1\nHost: h\n\n", // bare LF counts as one byte
		get("/fifth", "X-Long: "+strings.Repeat("v", 5000)),
	}
	bodies := []string{"", "hello world", "5\r\nhello\r\n0\r\n\r\n", "", ""}
	var segment strings.Builder
	for i := range heads {
		segment.WriteString(heads[i] + bodies[i])
	}
	c := s.client()
	c.send(segment.String()) // all five in one segment
	var want []string
	for i := range heads {
		wantStatus(t, c.read("GET"), http.StatusOK)
		want = append(want, fmt.Sprintf("1 %d %d", i+1, len(heads[i])))
	}
	if got := known(t, s); !slices.Equal(got, want) {
		t.Errorf("connection, requests, length: %q, want %q", got, want)
	}
	for i := range heads {
		access := <-s.accesses
		if access.HeadLength != int64(len(heads[i])) || access.RequestLength != int64(len(heads[i])+len(bodies[i])) {
			t.Errorf("request %d: access log says %d and %d bytes, want %d and %d", i, access.HeadLength, access.RequestLength, len(heads[i]), len(heads[i])+len(bodies[i]))
		}
	}
	if _, body := s.upstream.last(t); body != "" {
		t.Errorf("body %q strayed into the last request", body)
	}
}

func TestEmptyLinesBeforeARequestDoNotCount(t *testing.T) {
	s := newStand(t, standOptions{snippets: lengthSnippet})
	raw := get("/a")
	wantStatus(t, s.client().do("\r\n\r\n"+raw), http.StatusOK)
	if got, want := known(t, s), fmt.Sprintf("1 1 %d", len(raw)); !slices.Equal(got, []string{want}) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestConnectionRequestsCountsCallsWithoutAPlugin(t *testing.T) {
	s := newStand(t, standOptions{snippets: lengthSnippet, routes: twoRoutes + `  - {id: bare, uri: /bare, upstream: {type: roundrobin, nodes: {"UPSTREAM": 1}}}` + "\n"})
	c := s.client()
	wantStatus(t, c.do(get("/a")), http.StatusOK)
	wantStatus(t, c.do(get("/none")), http.StatusNotFound)
	wantStatus(t, c.do(get("/bare")), http.StatusOK)
	wantStatus(t, c.do(get("/b")), http.StatusOK)
	other := s.client()
	wantStatus(t, other.do(get("/b")), http.StatusOK)
	length := len(get("/a"))
	want := []string{fmt.Sprintf("1 1 %d", length), fmt.Sprintf("1 4 %d", length), fmt.Sprintf("2 1 %d", length)}
	if got := known(t, s); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestContinueIsSentWhenTheBodyIsRead(t *testing.T) {
	const head = "POST /a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
	t.Run("passed on", func(t *testing.T) {
		s := newStand(t, standOptions{})
		c := s.client()
		c.send(head)
		line, err := c.br.ReadString('\n')
		if err != nil || line != "HTTP/1.1 100 Continue\r\n" {
			t.Fatalf("got %q, %v", line, err)
		}
		if got := s.runner.kinds(); got != "PC" {
			t.Errorf("100 Continue before the plugin ran: frames %s", got)
		}
		_, _ = c.br.ReadString('\n')
		c.send("hello")
		wantStatus(t, c.read("POST"), http.StatusOK)
		sent, body := s.upstream.last(t)
		if body != "hello" || sent.Header.Get("Expect") != "" {
			t.Errorf("upstream got %q, Expect %q", body, sent.Header.Get("Expect"))
		}
		wantStatus(t, c.do(get("/a")), http.StatusOK)
	})
	t.Run("refused", func(t *testing.T) {
		s := newStand(t, standOptions{reply: withAction(func(seenCall) frame { return stopFrame(stopAction{status: 403}) })})
		got := s.client().do(head)
		if got.status != http.StatusForbidden || !got.close {
			t.Errorf("got %+v, want 403 and the end of the connection", got)
		}
	})
}

func TestHEADHasNoBody(t *testing.T) {
	s := newStand(t, standOptions{})
	c := s.client()
	got := c.do("HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n")
	if got.status != http.StatusOK || got.header.Get("Content-Length") != "19" || got.body != "" {
		t.Errorf("got %+v", got)
	}
	wantStatus(t, c.do(get("/a")), http.StatusOK) // the connection is in step
	wantStatus(t, c.do("HEAD /a/none%zz HTTP/1.1\r\nHost: h\r\n\r\n"), http.StatusBadRequest)
}

func TestChunkedBothWays(t *testing.T) {
	s := newStand(t, standOptions{upstream: func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != -1 {
			t.Errorf("content length %d", r.ContentLength)
		}
		_, _ = io.Copy(w, r.Body)
		_ = http.NewResponseController(w).Flush()
		_, _ = io.WriteString(w, "!")
	}})
	c := s.client()
	got := c.do("POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
	if got.body != "abcde!" {
		t.Errorf("body %q", got.body)
	}
	wantStatus(t, c.do("POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), http.StatusOK)
}

// TestBodiesAreStreamed needs each side to see the other's first bytes before it sends its last.
func TestBodiesAreStreamed(t *testing.T) {
	const half = 1 << 19
	s := newStand(t, standOptions{upstream: func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		_ = control.EnableFullDuplex()
		first := make([]byte, half)
		if _, err := io.ReadFull(r.Body, first); err != nil {
			t.Errorf("first half: %v", err)
		}
		_, _ = w.Write(first)
		_ = control.Flush()
		_, _ = io.Copy(w, r.Body)
	}})
	c := s.client()
	c.send(fmt.Sprintf("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", 2*half, strings.Repeat("a", half)))
	resp, err := http.ReadResponse(c.br, &http.Request{Method: http.MethodPost})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(resp.Body, make([]byte, half)); err != nil {
		t.Fatalf("first half of the answer: %v", err)
	}
	c.send(strings.Repeat("b", half))
	rest, err := io.ReadAll(resp.Body)
	if err != nil || len(rest) != half || strings.Trim(string(rest), "b") != "" {
		t.Errorf("second half: %d bytes, %v", len(rest), err)
	}
}

func TestAnEarlyAnswerLeavesTheConnectionInStep(t *testing.T) {
	early := earlyUpstream(t)
	s := newStand(t, standOptions{routes: `
routes:
  - {id: r, uri: /*, upstream: {type: roundrobin, nodes: {"` + early + `": 1}}}
`})
	c := s.client()
	c.send("POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhello")
	got := c.read("POST")
	if got.status != http.StatusRequestEntityTooLarge || got.close {
		t.Fatalf("got %+v, want 413 and a connection that lives on", got)
	}
	c.send("world" + get("/late"))
	wantStatus(t, c.read("GET"), http.StatusRequestEntityTooLarge)
	if access := <-s.accesses; access.Target != "/early" {
		t.Errorf("first call %q", access.Target)
	}
	if access := <-s.accesses; access.Target != "/late" || access.ConnectionRequests != 2 {
		t.Errorf("second call %q, the connection's request %d", access.Target, access.ConnectionRequests)
	}
}

// earlyUpstream answers every request with 413 when it has its head, and reads no body.
func earlyUpstream(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				br := bufio.NewReader(conn)
				if _, err := http.ReadRequest(br); err != nil {
					return
				}
				_, _ = io.WriteString(conn, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
				_, _ = io.Copy(io.Discard, br) // until the gateway closes: a reset could overtake the answer
			}()
		}
	}()
	return l.Addr().String()
}

func TestASlowClientIsServed(t *testing.T) {
	s := newStand(t, standOptions{snippets: lengthSnippet})
	c := s.client()
	head := "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n"
	go func() {
		for _, b := range []byte(head + "hello") { // a segment per byte: net.Pipe joins none
			if _, err := c.conn.Write([]byte{b}); err != nil {
				return
			}
		}
	}()
	wantStatus(t, c.read("POST"), http.StatusOK)
	if got, want := known(t, s), fmt.Sprintf("1 1 %d", len(head)); !slices.Equal(got, []string{want}) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAHeadIsBounded(t *testing.T) {
	for name, tc := range map[string]struct {
		raw  string
		want int
	}{
		"request line":   {get("/" + strings.Repeat("a", maxHeadLine)), http.StatusRequestURITooLong},
		"no end of line": {"GET /" + strings.Repeat("a", 2*maxHeadBytes), http.StatusRequestURITooLong},
		"one header":     {get("/", "X: "+strings.Repeat("a", maxHeadLine)), http.StatusBadRequest},
		"all headers":    {get("/", strings.Repeat("X: "+strings.Repeat("a", 1000)+"\r\n", 40)+"X: y"), http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t, standOptions{})
			got := s.client().do(tc.raw)
			if got.status != tc.want || !got.close {
				t.Errorf("got %d, close %v, want %d and the end", got.status, got.close, tc.want)
			}
			if s.runner.kinds() != "" {
				t.Error("the runner was called")
			}
		})
	}
}

func TestBadRequestsAreRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		raw  string
		want int
	}{
		"no host":              {"GET / HTTP/1.1\r\n\r\n", http.StatusBadRequest},
		"two hosts":            {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", http.StatusBadRequest},
		"folded line":          {"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", http.StatusBadRequest},
		"blank in name":        {"GET / HTTP/1.1\r\nHost: a\r\nX-Packet-Size : 1\r\n\r\n", http.StatusBadRequest},
		"no colon":             {"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", http.StatusBadRequest},
		"lower case method":    {"get / HTTP/1.1\r\nHost: a\r\n\r\n", http.StatusBadRequest},
		"CONNECT":              {"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", http.StatusMethodNotAllowed},
		"two lengths":          {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", http.StatusBadRequest},
		"length and chunks":    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", http.StatusBadRequest},
		"unknown coding":       {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", http.StatusNotImplemented},
		"chunks over HTTP/1.0": {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", http.StatusBadRequest},
		"above the root":       {get("/../etc"), http.StatusBadRequest},
		"OPTIONS *":            {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", http.StatusBadRequest},
		"control character":    {get("/", "X: a\x01b"), http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t, standOptions{})
			wantStatus(t, s.client().do(tc.raw), tc.want)
			if s.runner.kinds() != "" || s.upstream.count() != 0 {
				t.Error("the request went on")
			}
		})
	}
}

func TestHTTP10EndsWithTheConnectionUnlessAsked(t *testing.T) {
	s := newStand(t, standOptions{upstream: func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "one")
		_ = http.NewResponseController(w).Flush() // so that the length is not known
	}})
	got := s.client().do("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
	if got.body != "one" || !got.close {
		t.Errorf("got %+v", got)
	}
}

func TestAnUpstreamThatIsDownGives502(t *testing.T) {
	s := newStand(t, standOptions{routes: `
routes:
  - {id: r, uri: /*, upstream: {type: roundrobin, nodes: {"127.0.0.1:1": 1}}}
`})
	wantStatus(t, s.client().do(get("/a")), http.StatusBadGateway)
	if access := <-s.accesses; access.Status != http.StatusBadGateway || access.Upstream != "127.0.0.1:1" {
		t.Errorf("access %+v", access)
	}
}

func TestABrokenAnswerIsNotTakenForWhole(t *testing.T) {
	s := newStand(t, standOptions{upstream: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "short")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}})
	c := s.client()
	c.send(get("/a"))
	resp, err := http.ReadResponse(c.br, nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("a short body %q was read without an error", body)
	}
}

// TestIdleConnectionsEnd runs in time that is not real.
func TestIdleConnectionsEnd(t *testing.T) {
	for name, tc := range map[string]struct {
		sent string
		want time.Duration
	}{
		"silent":    {"", clientHeaderTimeout},
		"half head": {"GET / HT", clientHeaderTimeout},
		"idle":      {get("/none", "Host2: x"), keepaliveTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, err := New(Options{APISIX: []byte("routes: []\n#END")})
				if err != nil {
					t.Fatal(err)
				}
				l := newPipeListener()
				go func() { _ = g.Serve(l) }()
				conn, err := l.dial(clientAddr, "127.0.0.1:9080")
				if err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				go func() { _, _ = io.WriteString(conn, tc.sent) }()
				_, _ = io.Copy(io.Discard, bufio.NewReader(conn))
				if took := time.Since(start); took != tc.want {
					t.Errorf("ended after %v, want %v", took, tc.want)
				}
				if err := g.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestCloseLetsACallEnd(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	s := newStand(t, standOptions{upstream: func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-release
		_, _ = io.WriteString(w, "done")
	}})
	busy, idle := s.client(), s.client()
	busy.send(get("/a"))
	<-arrived
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	if _, err := idle.br.ReadByte(); err == nil { // its end says that Close has begun
		t.Error("an idle connection got a byte")
	}
	close(release)
	if got := busy.read("GET"); got.body != "done" {
		t.Errorf("got %+v", got)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if _, err := s.listener.dial(clientAddr, clientAddr); err == nil {
		t.Error("the listener is open")
	}
}

func TestTCPInfoAndAddressesOfARealSocket(t *testing.T) {
	names := []string{"tcpinfo_rtt", "realip_remote_addr", "realip_remote_port", "server_addr", "server_port"}
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(address, func(t *testing.T) {
			l, err := net.Listen("tcp", address)
			if err != nil {
				skip(t, "no such address here: "+err.Error())
			}
			snippet := "  http_server_location_configuration_snippet: 'more_set_input_headers \"X-Asked: $" + strings.Join(names, " $") + "\";'\n"
			s := newStand(t, standOptions{snippets: snippet})
			go func() { _ = s.Serve(l) }()
			conn, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = conn.Close() })
			wantStatus(t, newClient(t, conn).do(get("/a")), http.StatusOK)
			got := strings.Fields(valuesOf(s.runner.calls(t)[0].Headers, "x-asked")[0])
			host, port, _ := net.SplitHostPort(conn.LocalAddr().String())
			serverHost, serverPort, _ := net.SplitHostPort(l.Addr().String())
			if len(got) != 5 || got[0] == "0" || !slices.Equal(got[1:], []string{host, port, serverHost, serverPort}) {
				t.Errorf("got %q", got)
			}
		})
	}
}

// TestCloseBreaksACallThatHangs runs in time that is not real.
func TestCloseBreaksACallThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := syncGateway(t)
		near, far := net.Pipe() // a runner that says nothing
		asked := make(chan struct{})
		g.workers[0].runners.dial = func(context.Context) (net.Conn, error) { return near, nil }
		go func() {
			_, _ = far.Read(make([]byte, 1))
			close(asked)
			_, _ = io.Copy(io.Discard, far)
		}()
		l := newPipeListener()
		go func() { _ = g.Serve(l) }()
		conn, err := l.dial(clientAddr, "127.0.0.1:9080")
		if err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = io.WriteString(conn, get("/a")) }()
		<-asked
		start := time.Now()
		if err := g.Close(); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took != closeWait {
			t.Errorf("Close took %v, want %v", took, closeWait)
		}
		_ = conn.Close()
		_ = far.Close()
	})
}
