package gateway

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/api7/ext-plugin-proto/go/A6/Err"
)

func TestPrepareConfOnFirstUseOfARouteOnAConnectionOfItsOwn(t *testing.T) {
	s := newStand(t, standOptions{})
	c := s.client()
	for range 3 {
		wantStatus(t, c.do(get("/a")), http.StatusOK)
	}
	if got := s.runner.kinds(); got != "PCCC" {
		t.Fatalf("frames %s, want one PrepareConf and three calls", got)
	}
	frames := s.runner.seen()
	if frames[0].conn == frames[1].conn {
		t.Errorf("PrepareConf came on connection %d, as the call did", frames[0].conn)
	}
	key, conf := decodeConf(frames[0].payload)
	if !regexp.MustCompile(`^route#r1#ext-plugin-pre-req#\d+$`).MatchString(key) {
		t.Errorf("key %q", key)
	}
	if want := []string{`fivetuple={"a":1}`}; !slices.Equal(conf, want) {
		t.Errorf("conf %q, want %q", conf, want)
	}
}

func TestTokensLive3240SecondsInTheDictAnd3600InAWorker(t *testing.T) {
	s := newStand(t, standOptions{workers: 2})
	first, second := s.client(), s.client() // one in each worker
	step := func(c *client, after time.Duration, want string) {
		t.Helper()
		s.clock.advance(after)
		wantStatus(t, c.do(get("/a")), http.StatusOK)
		if got := s.runner.kinds(); got != want {
			t.Fatalf("frames %s, want %s", got, want)
		}
	}
	step(first, 0, "PC")
	step(second, 3239*time.Second, "PCC")     // from the dict, a second before it forgets
	step(first, 360*time.Second, "PCCC")      // 3599 s: still in the first worker
	step(first, time.Second, "PCCCPC")        // 3600 s: in neither
	step(second, 3238*time.Second, "PCCCPCC") // 6838 s: the second worker's of the first token
	step(second, time.Second, "PCCCPCCC")     // 6839 s: forgotten there, too, and found in the dict
	var tokens []uint32
	for _, call := range s.runner.calls(t) {
		tokens = append(tokens, call.Token)
	}
	if want := []uint32{1, 1, 1, 2, 1, 2}; !slices.Equal(tokens, want) {
		t.Errorf("tokens %d, want %d", tokens, want)
	}
}

func TestAWorkerRemembersEightKeys(t *testing.T) {
	var routes strings.Builder
	routes.WriteString("routes:\n")
	for i := range 9 {
		fmt.Fprintf(&routes, `  - {id: r%d, uri: /%d, upstream: {type: roundrobin, nodes: {"UPSTREAM": 1}}, plugins: {ext-plugin-pre-req: {conf: [{name: p, value: ""}]}}}`+"\n", i, i)
	}
	s := newStand(t, standOptions{routes: routes.String()})
	c := s.client()
	for i := range 9 {
		wantStatus(t, c.do(get(fmt.Sprintf("/%d", i))), http.StatusOK)
	}
	w := s.workers[0]
	now := s.clock.now()
	if _, ok := w.tokens.get("route#r0#ext-plugin-pre-req#"+s.version, now); ok {
		t.Error("the least recently used of nine keys is still in the worker")
	}
	if _, ok := w.tokens.get("route#r1#ext-plugin-pre-req#"+s.version, now); !ok {
		t.Error("the eighth last key is not in the worker any more")
	}
	wantStatus(t, c.do(get("/0")), http.StatusOK)
	if got := strings.Count(s.runner.kinds(), "P"); got != 9 {
		t.Errorf("%d PrepareConfs, want 9: the ninth key is in the dict", got)
	}
}

func TestTokenNotFoundFlushesAllTokensClosesTheConnectionAndRetries(t *testing.T) {
	forget := false
	pass := passOn()
	reply := func(f frame) ([]frame, bool) {
		if forget && f.kind == frameHTTPReqCall {
			forget = false
			return []frame{errorFrame(Err.CodeCONF_TOKEN_NOT_FOUND)}, false
		}
		return pass(f)
	}
	s := newStand(t, standOptions{reply: reply, routes: twoRoutes})
	c := s.client()
	wantStatus(t, c.do(get("/a")), http.StatusOK)
	wantStatus(t, c.do(get("/b")), http.StatusOK)
	forget = true
	wantStatus(t, c.do(get("/a")), http.StatusOK)
	if got := s.runner.kinds(); got != "PCPC"+"CPC" {
		t.Fatalf("frames %s, want PCPC, then a refused call, PrepareConf and the call", got)
	}
	frames := s.runner.seen()
	refused := frames[4].conn
	for _, f := range frames[5:] {
		if f.conn == refused {
			t.Errorf("connection %d was used after the runner refused a token on it", refused)
		}
	}
	wantStatus(t, c.do(get("/b")), http.StatusOK)
	if got := s.runner.kinds(); got != "PCPCCPC"+"PC" {
		t.Errorf("frames %s: the other route's token was not flushed", got)
	}
}

const twoRoutes = `
routes:
  - {id: a, uri: /a, upstream: {type: roundrobin, nodes: {"UPSTREAM": 1}}, plugins: {ext-plugin-pre-req: {conf: [{name: p, value: "a"}]}}}
  - {id: b, uri: /b, upstream: {type: roundrobin, nodes: {"UPSTREAM": 1}}, plugins: {ext-plugin-pre-req: {conf: [{name: p, value: "b"}]}}}
`

func TestACallIsTriedThreeTimesAtMost(t *testing.T) {
	pass := passOn()
	reply := func(f frame) ([]frame, bool) {
		if f.kind == frameHTTPReqCall {
			return []frame{errorFrame(Err.CodeCONF_TOKEN_NOT_FOUND)}, false
		}
		return pass(f)
	}
	s := newStand(t, standOptions{reply: reply})
	wantStatus(t, s.client().do(get("/a")), http.StatusServiceUnavailable)
	if got := s.runner.kinds(); got != "PCPCPC" {
		t.Errorf("frames %s, want three tries", got)
	}
	degraded := newStand(t, standOptions{reply: reply, degrade: true})
	wantStatus(t, degraded.client().do(get("/a")), http.StatusOK)
}

func TestRunnerConnectionsAreReusedLastInFirstOut(t *testing.T) {
	p := &pool{now: newClock().now}
	conns := make([]net.Conn, 3)
	for i := range conns {
		conns[i], _ = net.Pipe()
		p.put(conns[i])
	}
	for _, conn := range slices.Backward(conns) {
		got, err := p.take(t.Context())
		if err != nil || got != conn {
			t.Fatalf("took the wrong connection (%v), want the one put last", err)
		}
	}
}

func TestThePoolHolds32AndTheOldestMakesRoom(t *testing.T) {
	p := &pool{now: newClock().now}
	var first, second net.Conn
	for i := range poolSize + 1 {
		near, far := net.Pipe()
		t.Cleanup(func() { _ = far.Close() })
		switch i {
		case 0:
			first = near
		case 1:
			second = near
		}
		p.put(near)
	}
	if len(p.idle) != poolSize || poolSize != 32 {
		t.Errorf("%d connections in the pool, want 32", len(p.idle))
	}
	if p.idle[0].conn != second {
		t.Error("not the oldest connection made room")
	}
	if _, err := first.Write([]byte("x")); err == nil {
		t.Error("the connection that made room is open")
	}
}

func TestAPooledConnectionLives180Seconds(t *testing.T) {
	at := newClock()
	p := &pool{now: at.now}
	conn, _ := net.Pipe()
	p.put(conn)
	at.advance(179 * time.Second)
	if got, ok := p.pop(); !ok || got != conn {
		t.Fatal("gone after 179 s")
	}
	p.put(conn)
	at.advance(180 * time.Second)
	if _, ok := p.pop(); ok {
		t.Error("there after 180 s")
	}
}

func TestARestartedRunnerIsServedOnNewConnections(t *testing.T) {
	s := newStand(t, standOptions{})
	c := s.client()
	wantStatus(t, c.do(get("/a")), http.StatusOK)
	s.runner.stop()
	s.runner.listen(t)
	wantStatus(t, c.do(get("/a")), http.StatusOK)
	frames := s.runner.seen()
	if last := frames[len(frames)-1].conn; last <= 2 {
		t.Errorf("call on connection %d, which the old runner had closed", last)
	}
}

func TestTheFirstHundredHeadersAreSent(t *testing.T) {
	s := newStand(t, standOptions{})
	var lines []string
	for i := range 150 {
		lines = append(lines, fmt.Sprintf("X-Big-%03d: v", i))
	}
	wantStatus(t, s.client().do(get("/a", lines...)), http.StatusOK)
	headers := s.runner.calls(t)[0].Headers
	if len(headers) != 100 {
		t.Fatalf("%d headers, want 100", len(headers))
	}
	if headers[0] != "host=test.example" || headers[99] != "x-big-098=v" {
		t.Errorf("first %q, last %q: not the first hundred", headers[0], headers[99])
	}
	if sent, _ := s.upstream.last(t); sent.Header.Get("X-Big-149") != "v" {
		t.Error("the upstream did not get the headers above 100")
	}
}

func TestThePluginRunsBeforeTheBodyIsRead(t *testing.T) {
	ran := make(chan struct{})
	s := newStand(t, standOptions{reply: withAction(func(seenCall) frame {
		close(ran)
		return frame{kind: frameHTTPReqCall, payload: encodeAction(nil, nil)}
	})})
	c := s.client()
	c.send("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n")
	select {
	case <-ran: // and not one byte of the body has been sent
	case <-time.After(testTimeout):
		t.Fatal("the plugin waits for the body")
	}
	c.send("hello")
	wantStatus(t, c.read("POST"), http.StatusOK)
	if _, body := s.upstream.last(t); body != "hello" {
		t.Errorf("upstream got body %q", body)
	}
}

func TestAClosedConnectionIsNotTriedAgain(t *testing.T) {
	for _, degrade := range []bool{false, true} {
		pass := passOn()
		s := newStand(t, standOptions{degrade: degrade, reply: func(f frame) ([]frame, bool) {
			if f.kind == frameHTTPReqCall {
				return nil, true // hangs up, as a runner does whose plugin panics
			}
			return pass(f)
		}})
		want := http.StatusServiceUnavailable
		if degrade {
			want = http.StatusOK
		}
		wantStatus(t, s.client().do(get("/a")), want)
		if got := s.runner.kinds(); got != "PC" {
			t.Errorf("degradation %v: frames %s, want one try", degrade, got)
		}
	}
}

func TestARunnerThatIsDownGives503OrIsPassedBy(t *testing.T) {
	for _, degrade := range []bool{false, true} {
		s := newStand(t, standOptions{degrade: degrade})
		s.runner.stop()
		got := s.client().do(get("/a"))
		if degrade {
			wantStatus(t, got, http.StatusOK)
			continue
		}
		wantStatus(t, got, http.StatusServiceUnavailable)
		if got.header.Get("Server") != serverName {
			t.Errorf("Server %q", got.header.Get("Server"))
		}
	}
}

// TestRunnerTimeOuts needs no runner and no upstream: it is answered with 503 in time that is not real.
func TestRunnerTimeOuts(t *testing.T) {
	hang := func(ctxDone <-chan struct{}) error { <-ctxDone; return io.ErrNoProgress }
	for _, tc := range []struct {
		name string
		dial func(t *testing.T) dialFunc
		want time.Duration
	}{
		{"connect", func(*testing.T) dialFunc {
			return func(ctx context.Context, _, _ string) (net.Conn, error) { return nil, hang(ctx.Done()) }
		}, time.Second},
		{"read", func(t *testing.T) dialFunc {
			t.Helper()
			return func(context.Context, string, string) (net.Conn, error) {
				near, far := net.Pipe()
				t.Cleanup(func() { _ = far.Close() })
				go func() { _, _ = io.Copy(io.Discard, far) }() // reads everything, says nothing
				return near, nil
			}
		}, 60 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := syncGateway(t)
				dial := tc.dial(t)
				g.workers[0].runners.dial = func(ctx context.Context) (net.Conn, error) { return dial(ctx, "", "") }
				l := newPipeListener()
				go func() { _ = g.Serve(l) }()
				conn, err := l.dial(clientAddr, "127.0.0.1:9080")
				if err != nil {
					t.Fatal(err)
				}
				c := &client{t: t, conn: conn, br: bufio.NewReader(conn)}
				start := time.Now()
				wantStatus(t, c.do(get("/a")), http.StatusServiceUnavailable)
				if took := time.Since(start); took != tc.want {
					t.Errorf("gave up after %v, want %v", took, tc.want)
				}
				_ = conn.Close()
				if err := g.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestUnknownMethodsGive500(t *testing.T) {
	s := newStand(t, standOptions{degrade: true}) // degradation does not help: APISIX itself fails
	c := s.client()
	for _, method := range []string{"PURGE", "QUERY"} {
		got := c.do(method + " /a HTTP/1.1\r\nHost: h\r\n\r\n")
		wantStatus(t, got, http.StatusInternalServerError)
	}
	if strings.Contains(s.runner.kinds(), "C") {
		t.Errorf("frames %s: the runner was called", s.runner.kinds())
	}
	for i, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "MKCOL", "COPY", "MOVE", "OPTIONS", "PROPFIND", "PROPPATCH", "LOCK", "UNLOCK", "PATCH", "TRACE"} {
		wantStatus(t, c.do(method+" /a HTTP/1.1\r\nHost: h\r\n\r\n"), http.StatusOK)
		if got := s.runner.calls(t)[i].Method; got != method {
			t.Errorf("method %s reached the runner as %s", method, got)
		}
	}
}

func TestHeaderNamesAreLowerCaseAndRepeatedOnesKeepTheirOrder(t *testing.T) {
	s := newStand(t, standOptions{})
	wantStatus(t, s.client().do(get("/a", "X-A: one", "Cookie: a=1", "x-a: two", "COOKIE: b=2", "X-A:three", "X_Under: 1", "X-Empty:")), http.StatusOK)
	headers := s.runner.calls(t)[0].Headers
	if got := valuesOf(headers, "x-a"); !slices.Equal(got, []string{"one", "two", "three"}) {
		t.Errorf("x-a %q", got)
	}
	if got := valuesOf(headers, "cookie"); !slices.Equal(got, []string{"a=1", "b=2"}) {
		t.Errorf("cookie %q", got)
	}
	for _, want := range []string{"x_under=1", "x-empty=", "x-forwarded-proto=http", "x-forwarded-host=test.example", "x-forwarded-port=9080"} {
		if !slices.Contains(headers, want) {
			t.Errorf("no %q in %q", want, headers)
		}
	}
}

func TestTheIDIsTheWorkersNumberAboveACounter(t *testing.T) {
	s := newStand(t, standOptions{workers: 2})
	first, second := s.client(), s.client()
	for _, c := range []*client{first, second, first, second} {
		wantStatus(t, c.do(get("/a")), http.StatusOK)
	}
	var ids []uint32
	for _, call := range s.runner.calls(t) {
		ids = append(ids, call.ID)
	}
	if want := []uint32{0, 1 << 22, 1, 1<<22 + 1}; !slices.Equal(ids, want) {
		t.Errorf("ids %d, want %d", ids, want)
	}
	w := &worker{index: 3}
	w.calls.Store(idCounterSize)
	if got := w.nextID(); got != 3<<22 {
		t.Errorf("the counter does not start anew after 2^22: %d", got)
	}
}

func TestSeveralQuestionsAtOnceAreAnsweredInOrder(t *testing.T) {
	names := []string{"server_port", "consumer_name", "realip_remote_port", "http2", "connection_requests"}
	asked := passOn()
	answers := 0
	s := newStand(t, standOptions{reply: func(f frame) ([]frame, bool) {
		switch f.kind {
		case frameHTTPReqCall:
			var all []frame
			for _, name := range names {
				all = append(all, askVariable(name))
			}
			return all, false
		case frameExtraInfo:
			if answers++; answers < len(names) {
				return nil, false
			}
			return []frame{{kind: frameHTTPReqCall, payload: encodeAction(nil, nil)}}, false
		default:
			return asked(f)
		}
	}})
	wantStatus(t, s.client().do(get("/a")), http.StatusOK)
	var got []string
	for _, f := range s.runner.seen() {
		if f.kind == frameExtraInfo {
			result, set := decodeResult(f.payload)
			got = append(got, fmt.Sprintf("%s %v", result, set))
		}
	}
	want := []string{"9080 true", " false", "40001 true", " true", "1 true"} // unset is not empty
	if !slices.Equal(got, want) {
		t.Errorf("answers %q, want %q", got, want)
	}
}

func TestTheRunnerAsksForTheBodyAndTheUpstreamGetsIt(t *testing.T) {
	s := newStand(t, standOptions{reply: askThen(askBody(), frame{kind: frameHTTPReqCall, payload: encodeAction(nil, nil)})})
	body := strings.Repeat("abc", 100_000)
	got := s.client().do(fmt.Sprintf("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
	wantStatus(t, got, http.StatusOK)
	frames := s.runner.seen()
	if result, ok := decodeResult(frames[len(frames)-1].payload); !ok || result != body {
		t.Errorf("the runner got %d bytes, want %d", len(result), len(body))
	}
	if _, upstreamBody := s.upstream.last(t); upstreamBody != body {
		t.Errorf("the upstream got %d bytes, want %d", len(upstreamBody), len(body))
	}
}

// askThen asks one question, then gives the answer to the call.
func askThen(asked, then frame) replyFunc {
	pass := passOn()
	return func(f frame) ([]frame, bool) {
		switch f.kind {
		case frameHTTPReqCall, frameRespCall:
			return []frame{asked}, false
		case frameExtraInfo:
			return []frame{then}, false
		default:
			return pass(f)
		}
	}
}

func TestARewriteChangesPathArgumentsHeadersAndBody(t *testing.T) {
	s := newStand(t, standOptions{reply: withAction(func(seenCall) frame {
		return rewriteFrame(rewriteAction{
			path: "/new path", hasPath: true, body: []byte("replaced"),
			headers: []entry{{"X-New", "1", true}, {"X-Old", "", false}, {"Host", "other.example", true}},
			args:    []entry{{"a", "x y", true}, {"a", "z", true}, {"gone", "", false}},
		})
	})})
	got := s.client().do("POST /a?gone=1&a=0&keep HTTP/1.1\r\nHost: h\r\nX-Old: 1\r\nContent-Length: 3\r\n\r\nold")
	wantStatus(t, got, http.StatusOK)
	sent, body := s.upstream.last(t)
	if want := "/new%20path?a=x%20y&a=z&keep"; sent.RequestURI != want {
		t.Errorf("target %q, want %q", sent.RequestURI, want)
	}
	if sent.Header.Get("X-New") != "1" || sent.Header.Get("X-Old") != "" || sent.Host != "other.example" {
		t.Errorf("headers %v, host %q", sent.Header, sent.Host)
	}
	if body != "replaced" || sent.ContentLength != int64(len("replaced")) {
		t.Errorf("body %q, length %d", body, sent.ContentLength)
	}
}

func TestResponseHeadersOfTheRequestPhaseReachTheClient(t *testing.T) {
	s := newStand(t, standOptions{reply: withAction(func(seenCall) frame {
		return rewriteFrame(rewriteAction{respHeaders: []entry{
			{"X-Multi", "a", true},
			{"X-Multi", "b", true},
			{"Server-Timing", "net", true},
			{"Content-Type", "bad/type", true},
			{"Location", "/bad", true},
			{"Server", "bad", true},
			{"Content-Length", "1", true},
		}})
	})})
	c := s.client()
	c.send(get("/a"))
	raw := make([]byte, 0, 1024)
	for !strings.Contains(string(raw), "hello from upstream") {
		piece := make([]byte, 1024)
		n, err := c.br.Read(piece)
		if err != nil {
			t.Fatal(err)
		}
		raw = append(raw, piece[:n]...)
	}
	text := string(raw)
	for _, want := range []string{"\r\nx-multi: a\r\nx-multi: b\r\n", "\r\nserver-timing: net\r\n", "\r\nX-Upstream: yes\r\n", "\r\nServer: " + serverName + "\r\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %q", want, text)
		}
	}
	if strings.Contains(text, "bad") {
		t.Errorf("a header that a plugin may not set reached the client: %q", text)
	}
}

func TestStopAnswersTheClient(t *testing.T) {
	for _, tc := range []struct {
		name       string
		stop       stopAction
		wantStatus int
		wantBody   string
	}{
		{"body", stopAction{status: 403, headers: []entry{{"X-Stopped-By", "runner", true}}, body: []byte("no")}, 403, "no"},
		{"no body", stopAction{status: 429, headers: []entry{{"X-Stopped-By", "runner", true}}}, 429, string(errorPage(429))},
		{"no status", stopAction{headers: []entry{{"X-Stopped-By", "runner", true}}, body: []byte("ok")}, 200, "ok"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newStand(t, standOptions{reply: withAction(func(seenCall) frame { return stopFrame(tc.stop) })})
			c := s.client()
			got := c.do(get("/a"))
			if got.status != tc.wantStatus || got.body != tc.wantBody || got.header.Get("X-Stopped-By") != "runner" {
				t.Errorf("got %+v", got)
			}
			if s.upstream.count() != 0 {
				t.Error("the upstream was asked")
			}
			// The body of a refused request is read away and the connection lives on.
			got = c.do("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello")
			wantStatus(t, got, tc.wantStatus)
			wantStatus(t, c.do(get("/a")), tc.wantStatus)
		})
	}
}

func TestPostReqFollowsPreReq(t *testing.T) {
	step := 0
	s := newStand(t, standOptions{
		routes: `
routes:
  - id: both
    uris: [/x, "/a*"]
    upstream: {type: roundrobin, nodes: {"UPSTREAM": 1}}
    plugins:
      ext-plugin-pre-req: {conf: [{name: one, value: ""}]}
      ext-plugin-post-req: {conf: [{name: two, value: ""}]}
`,
		reply: withAction(func(seenCall) frame {
			if step++; step == 1 {
				return rewriteFrame(rewriteAction{path: "/re written", hasPath: true, headers: []entry{{"X-Pre", "1", true}}})
			}
			return frame{kind: frameHTTPReqCall, payload: encodeAction(nil, nil)}
		}),
	})
	wantStatus(t, s.client().do(get("/a?q=1")), http.StatusOK)
	frames := s.runner.seen()
	if got := s.runner.kinds(); got != "PCPC" {
		t.Fatalf("frames %s", got)
	}
	if key, _ := decodeConf(frames[2].payload); key != "route#both#ext-plugin-post-req#"+s.version {
		t.Errorf("key %q", key)
	}
	calls := s.runner.calls(t)
	if calls[1].Path != "/re%20written" || !slices.Contains(calls[1].Headers, "x-pre=1") || calls[1].ID == calls[0].ID {
		t.Errorf("post-req got %+v", calls[1])
	}
	if sent, _ := s.upstream.last(t); sent.RequestURI != "/re%20written?q=1" {
		t.Errorf("target %q", sent.RequestURI)
	}
}

func TestAMalformedAnswerFailsTheCallOnly(t *testing.T) {
	pass := passOn()
	s := newStand(t, standOptions{reply: func(f frame) ([]frame, bool) {
		if f.kind == frameHTTPReqCall {
			return []frame{{kind: frameHTTPReqCall, payload: []byte{0xff, 0xff, 0xff, 0x7f}}}, false
		}
		return pass(f)
	}})
	c := s.client()
	wantStatus(t, c.do(get("/a")), http.StatusServiceUnavailable)
	wantStatus(t, c.do(get("/a")), http.StatusServiceUnavailable)
}

// syncGateway is a gateway for a synctest bubble: its one route has a plugin and an upstream that no test
// gets to.
func syncGateway(t *testing.T) *Gateway {
	t.Helper()
	g, err := New(Options{
		APISIX: []byte(`
routes:
  - {id: r, uri: /*, upstream: {type: roundrobin, nodes: {"192.0.2.1:80": 1}}, plugins: {ext-plugin-pre-req: {conf: [{name: p, value: ""}]}}}
#END
`),
		Config: []byte("ext-plugin: {path_for_test: /nowhere.sock}"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return g
}
