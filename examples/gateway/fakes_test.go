package gateway

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/api7/ext-plugin-proto/go/A6/Err"
	"github.com/api7/ext-plugin-proto/go/A6/ExtraInfo"
	"github.com/api7/ext-plugin-proto/go/A6/HTTPReqCall"
	"github.com/api7/ext-plugin-proto/go/A6/PrepareConf"
	flatbuffers "github.com/google/flatbuffers/go"
)

// skip skips a test, or fails it where FIVETUPLE_NO_SKIP=1 says that nothing may be skipped.
func skip(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("FIVETUPLE_NO_SKIP") == "1" {
		t.Fatalf("must not be skipped here: %s", why)
	}
	t.Skip(why)
}

const testTimeout = 20 * time.Second // bounds every test; none comes near it

// clock is an injected time.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Unix(1795377683, 123e6)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// frame is one frame of the plugin protocol; conn numbers the runner's connections from 1.
type frame struct {
	conn    int
	kind    frameType
	payload []byte
}

// replyFunc says what a fake runner answers to one frame; hangUp closes the connection after it.
type replyFunc func(f frame) (answer []frame, hangUp bool)

// fakeRunner is a scripted runner: it records what it gets.
type fakeRunner struct {
	path  string
	reply replyFunc

	mu     sync.Mutex
	frames []frame
	conns  map[int]net.Conn
	opened int
	l      net.Listener
	done   sync.WaitGroup
}

func startRunner(t *testing.T, reply replyFunc) *fakeRunner {
	t.Helper()
	dir, err := os.MkdirTemp("", "gw") //nolint:usetesting // t.TempDir is too long for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	r := &fakeRunner{path: filepath.Join(dir, "r.sock"), reply: reply, conns: make(map[int]net.Conn)}
	if r.reply == nil {
		r.reply = passOn()
	}
	r.listen(t)
	t.Cleanup(r.stop)
	return r
}

func (r *fakeRunner) listen(t *testing.T) {
	t.Helper()
	l, err := net.Listen("unix", r.path)
	if err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	r.l = l
	r.mu.Unlock()
	r.done.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			n := r.add(conn)
			r.done.Go(func() { r.serve(n, conn) })
		}
	})
}

func (r *fakeRunner) add(conn net.Conn) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.opened++
	r.conns[r.opened] = conn
	return r.opened
}

func (r *fakeRunner) serve(n int, conn net.Conn) {
	defer func() {
		r.mu.Lock()
		delete(r.conns, n)
		r.mu.Unlock()
		_ = conn.Close()
	}()
	for {
		kind, payload, err := readFrame(conn)
		if err != nil {
			return
		}
		f := frame{conn: n, kind: kind, payload: payload}
		r.mu.Lock()
		r.frames = append(r.frames, f)
		r.mu.Unlock()
		answer, hangUp := r.reply(f)
		var all []byte
		for _, a := range answer {
			size := len(a.payload)
			all = append(all, byte(a.kind), byte(size>>16), byte(size>>8), byte(size))
			all = append(all, a.payload...)
		}
		if _, err := conn.Write(all); err != nil || hangUp {
			return
		}
	}
}

// stop closes socket and connections, as a runner that ends does.
func (r *fakeRunner) stop() {
	r.mu.Lock()
	_ = r.l.Close()
	for _, conn := range r.conns {
		_ = conn.Close()
	}
	r.mu.Unlock()
	r.done.Wait()
}

func (r *fakeRunner) seen() []frame {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]frame(nil), r.frames...)
}

// kinds is what the runner got, as a word per frame: P(repareConf), C(all), X(traInfo).
func (r *fakeRunner) kinds() string {
	var b strings.Builder
	for _, f := range r.seen() {
		b.WriteString(map[frameType]string{framePrepareConf: "P", frameHTTPReqCall: "C", frameExtraInfo: "X"}[f.kind])
	}
	return b.String()
}

func (r *fakeRunner) calls(t *testing.T) []seenCall {
	t.Helper()
	var all []seenCall
	for _, f := range r.seen() {
		if f.kind == frameHTTPReqCall {
			all = append(all, decodeCall(t, f.payload))
		}
	}
	return all
}

// passOn gives every key a token of its own and lets every call pass.
func passOn() replyFunc {
	return withAction(func(seenCall) frame { return frame{kind: frameHTTPReqCall, payload: encodeAction(nil, nil)} })
}

// withAction is passOn, but the answer to a call is made by the test.
func withAction(act func(seenCall) frame) replyFunc {
	var mu sync.Mutex
	tokens := uint32(0)
	return func(f frame) ([]frame, bool) {
		mu.Lock()
		defer mu.Unlock()
		switch f.kind {
		case framePrepareConf:
			tokens++
			return []frame{tokenFrame(tokens)}, false
		case frameHTTPReqCall:
			return []frame{act(decodeCall(nil, f.payload))}, false
		default:
			return nil, true
		}
	}
}

func tokenFrame(token uint32) frame {
	b := flatbuffers.NewBuilder(16)
	PrepareConf.RespStart(b)
	PrepareConf.RespAddConfToken(b, token)
	b.Finish(PrepareConf.RespEnd(b))
	return frame{kind: framePrepareConf, payload: b.FinishedBytes()}
}

func errorFrame(code Err.Code) frame {
	b := flatbuffers.NewBuilder(16)
	Err.RespStart(b)
	Err.RespAddCode(b, code)
	b.Finish(Err.RespEnd(b))
	return frame{kind: frameError, payload: b.FinishedBytes()}
}

func askVariable(name string) frame {
	b := flatbuffers.NewBuilder(16)
	at := b.CreateString(name)
	ExtraInfo.VarStart(b)
	ExtraInfo.VarAddName(b, at)
	return finishQuestion(b, ExtraInfo.VarEnd(b), ExtraInfo.InfoVar)
}

func askBody() frame {
	b := flatbuffers.NewBuilder(16)
	ExtraInfo.ReqBodyStart(b)
	return finishQuestion(b, ExtraInfo.ReqBodyEnd(b), ExtraInfo.InfoReqBody)
}

func finishQuestion(b *flatbuffers.Builder, info flatbuffers.UOffsetT, kind ExtraInfo.Info) frame {
	ExtraInfo.ReqStart(b)
	ExtraInfo.ReqAddInfoType(b, kind)
	ExtraInfo.ReqAddInfo(b, info)
	b.Finish(ExtraInfo.ReqEnd(b))
	return frame{kind: frameExtraInfo, payload: b.FinishedBytes()}
}

func rewriteFrame(r rewriteAction) frame {
	return frame{kind: frameHTTPReqCall, payload: encodeAction(nil, &r)}
}

func stopFrame(s stopAction) frame {
	return frame{kind: frameHTTPReqCall, payload: encodeAction(&s, nil)}
}

func encodeAction(stop *stopAction, rewrite *rewriteAction) []byte {
	b := flatbuffers.NewBuilder(64)
	var at flatbuffers.UOffsetT
	kind := HTTPReqCall.ActionNONE
	switch {
	case stop != nil:
		kind, at = HTTPReqCall.ActionStop, encodeStop(b, stop)
	case rewrite != nil:
		kind, at = HTTPReqCall.ActionRewrite, encodeRewrite(b, rewrite)
	}
	HTTPReqCall.RespStart(b)
	if at != 0 {
		HTTPReqCall.RespAddActionType(b, kind)
		HTTPReqCall.RespAddAction(b, at)
	}
	b.Finish(HTTPReqCall.RespEnd(b))
	return b.FinishedBytes()
}

func encodeStop(b *flatbuffers.Builder, stop *stopAction) flatbuffers.UOffsetT {
	headers := encodeEntries(b, stop.headers, HTTPReqCall.StopStartHeadersVector)
	body := b.CreateByteVector(stop.body)
	HTTPReqCall.StopStart(b)
	HTTPReqCall.StopAddStatus(b, uint16(stop.status))
	HTTPReqCall.StopAddHeaders(b, headers)
	HTTPReqCall.StopAddBody(b, body)
	return HTTPReqCall.StopEnd(b)
}

func encodeRewrite(b *flatbuffers.Builder, r *rewriteAction) flatbuffers.UOffsetT {
	headers := encodeEntries(b, r.headers, HTTPReqCall.RewriteStartHeadersVector)
	args := encodeEntries(b, r.args, HTTPReqCall.RewriteStartArgsVector)
	resp := encodeEntries(b, r.respHeaders, HTTPReqCall.RewriteStartRespHeadersVector)
	body := b.CreateByteVector(r.body)
	var path flatbuffers.UOffsetT
	if r.hasPath {
		path = b.CreateString(r.path)
	}
	HTTPReqCall.RewriteStart(b)
	HTTPReqCall.RewriteAddHeaders(b, headers)
	HTTPReqCall.RewriteAddArgs(b, args)
	HTTPReqCall.RewriteAddRespHeaders(b, resp)
	HTTPReqCall.RewriteAddBody(b, body)
	if r.hasPath {
		HTTPReqCall.RewriteAddPath(b, path)
	}
	return HTTPReqCall.RewriteEnd(b)
}

// seenCall is a decoded HTTPReqCall.
type seenCall struct {
	ID, Token     uint32
	Source        string
	Method        string
	Path          string
	Args, Headers []string // "name=value", or "name" without a value
}

func decodeCall(t *testing.T, payload []byte) seenCall { //nolint:thelper // t may be nil
	if t != nil {
		t.Helper()
	}
	req := HTTPReqCall.GetRootAsReq(payload, 0)
	return seenCall{
		ID: req.Id(), Token: req.ConfToken(), Source: net.IP(req.SrcIpBytes()).String(),
		Method: req.Method().String(), Path: string(req.Path()),
		Args:    entryTexts(readEntries(req.ArgsLength(), req.Args)),
		Headers: entryTexts(readEntries(req.HeadersLength(), req.Headers)),
	}
}

func entryTexts(entries []entry) []string {
	texts := make([]string, len(entries))
	for i, e := range entries {
		texts[i] = e.name
		if e.hasValue {
			texts[i] += "=" + e.value
		}
	}
	return texts
}

// valuesOf are the values of one name, in order.
func valuesOf(texts []string, name string) []string {
	var values []string
	for _, text := range texts {
		if value, ok := strings.CutPrefix(text, name+"="); ok {
			values = append(values, value)
		}
	}
	return values
}

func decodeConf(payload []byte) (key string, conf []string) {
	req := PrepareConf.GetRootAsReq(payload, 0)
	return string(req.Key()), entryTexts(readEntries(req.ConfLength(), req.Conf))
}

// decodeResult is an ExtraInfo answer; false if there is no result.
func decodeResult(payload []byte) (string, bool) {
	result := ExtraInfo.GetRootAsResp(payload, 0).ResultBytes()
	return string(result), result != nil
}

// stand is a stand-in with all around it.
type stand struct {
	*Gateway
	t        *testing.T
	runner   *fakeRunner
	upstream *upstream
	clock    *clock
	listener *pipeListener
	accesses chan Access
}

type standOptions struct {
	reply    replyFunc
	upstream http.HandlerFunc
	routes   string // of apisix.yaml, with UPSTREAM and END filled in; empty: one route for all paths
	snippets string // the nginx_config section, indented by two
	workers  int
	degrade  bool
	tls      *tls.Config
}

// newStand starts a stand-in on in-memory connections, with a runner on a socket and an upstream on loopback.
func newStand(t *testing.T, o standOptions) *stand {
	t.Helper()
	s := &stand{
		t: t, runner: startRunner(t, o.reply), upstream: startUpstream(t, o.upstream),
		clock: newClock(), listener: newPipeListener(), accesses: make(chan Access, 1000),
	}
	routes := o.routes
	if routes == "" {
		routes = fmt.Sprintf(`
routes:
  - id: r1
    uri: /*
    upstream: {type: roundrobin, nodes: {"UPSTREAM": 1}}
    plugins:
      ext-plugin-pre-req:
        conf: [{name: fivetuple, value: '{"a":1}'}]
        allow_degradation: %v
`, o.degrade)
	}
	config := "ext-plugin:\n  path_for_test: " + s.runner.path + "\n"
	if o.snippets != "" {
		config += "nginx_config:\n" + o.snippets
	}
	g, err := New(Options{
		APISIX: []byte(strings.ReplaceAll(routes, "UPSTREAM", s.upstream.address) + "\n#END\n"),
		Config: []byte(config), Workers: o.workers, TLS: o.tls, Now: s.clock.now,
		AccessLog: func(a Access) { s.accesses <- a },
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Gateway = g
	s.serve()
	return s
}

func (s *stand) serve() {
	serve := s.Serve
	if s.tls != nil {
		serve = s.ServeTLS
	}
	done := make(chan error, 1)
	go func() { done <- serve(s.listener) }()
	s.t.Cleanup(func() {
		if err := s.Close(); err != nil {
			s.t.Errorf("Close: %v", err)
		}
		if err := <-done; err != nil {
			s.t.Errorf("Serve: %v", err)
		}
	})
}

// upstream records what reached it.
type upstream struct {
	address string
	mu      sync.Mutex
	got     []*http.Request
	bodies  []string
}

func startUpstream(t *testing.T, handler http.HandlerFunc) *upstream {
	t.Helper()
	u := &upstream{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if handler != nil {
			u.record(r, "")
			handler(w, r)
			return
		}
		body, _ := io.ReadAll(r.Body)
		u.record(r, string(body))
		w.Header().Set("X-Upstream", "yes")
		_, _ = io.WriteString(w, "hello from upstream")
	}))
	t.Cleanup(server.Close)
	u.address = server.Listener.Addr().String()
	return u
}

func (u *upstream) record(r *http.Request, body string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.got = append(u.got, r)
	u.bodies = append(u.bodies, body)
}

func (u *upstream) last(t *testing.T) (*http.Request, string) {
	t.Helper()
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.got) == 0 {
		t.Fatal("nothing reached the upstream")
	}
	return u.got[len(u.got)-1], u.bodies[len(u.bodies)-1]
}

func (u *upstream) count() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.got)
}

// pipeListener accepts in-memory connections with the addresses a test wants.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *pipeListener) Addr() net.Addr { return tcpAddr("127.0.0.1:9080") }

// dial returns the client's end of a connection from client to server.
func (l *pipeListener) dial(client, server string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case l.conns <- addrConn{theirs, tcpAddr(server), tcpAddr(client)}:
		return ours, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// addrConn is a connection with addresses of a test's choice.
type addrConn struct {
	net.Conn
	local, remote net.Addr
}

func (c addrConn) LocalAddr() net.Addr  { return c.local }
func (c addrConn) RemoteAddr() net.Addr { return c.remote }

func tcpAddr(s string) net.Addr {
	addr, err := net.ResolveTCPAddr("tcp", s)
	if err != nil {
		panic(err)
	}
	return addr
}

// client is an HTTP/1.1 client that writes bytes as they are.
type client struct {
	t    *testing.T
	conn net.Conn
	br   *bufio.Reader
}

const clientAddr = "127.0.0.1:40001"

func (s *stand) client() *client { return s.clientFrom(clientAddr, "127.0.0.1:9080") }

func (s *stand) clientFrom(from, to string) *client {
	s.t.Helper()
	conn, err := s.listener.dial(from, to)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close() })
	return newClient(s.t, conn)
}

func newClient(t *testing.T, conn net.Conn) *client {
	t.Helper()
	_ = conn.SetDeadline(time.Now().Add(testTimeout))
	return &client{t: t, conn: conn, br: bufio.NewReader(conn)}
}

// send writes in the background: net.Pipe has no buffer, and the gateway may answer first.
func (c *client) send(raw string) {
	go func() { _, _ = io.WriteString(c.conn, raw) }()
}

type answered struct {
	status int
	header http.Header
	body   string
	close  bool
}

func (c *client) read(method string) answered {
	c.t.Helper()
	resp, err := http.ReadResponse(c.br, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("read response: %v", err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil && !errors.Is(err, io.ErrClosedPipe) {
		c.t.Fatalf("read response body: %v", err)
	}
	return answered{resp.StatusCode, resp.Header, string(body), resp.Close}
}

func (c *client) do(raw string) answered {
	c.t.Helper()
	c.send(raw)
	method, _, _ := strings.Cut(raw, " ")
	return c.read(method)
}

// get is a request without anything special.
func get(path string, headers ...string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: test.example\r\n" + strings.Join(append(headers, "", ""), "\r\n")
}

func wantStatus(t *testing.T, got answered, want int) {
	t.Helper()
	if got.status != want {
		t.Fatalf("status %d, want %d; body %q", got.status, want, got.body)
	}
}

func httpClient(s *stand, transport *http.Transport) *http.Client {
	transport.DisableCompression = true
	transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
		return s.listener.dial(clientAddr, "127.0.0.1:9080")
	}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: testTimeout}
}
