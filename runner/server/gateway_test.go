package server

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/apisix-go-plugin-runner/pkg/plugin"
	"github.com/api7/ext-plugin-proto/go/A6"
	apierr "github.com/api7/ext-plugin-proto/go/A6/Err"
	ei "github.com/api7/ext-plugin-proto/go/A6/ExtraInfo"
	hreq "github.com/api7/ext-plugin-proto/go/A6/HTTPReqCall"
	hresp "github.com/api7/ext-plugin-proto/go/A6/HTTPRespCall"
	pc "github.com/api7/ext-plugin-proto/go/A6/PrepareConf"
	flatbuffers "github.com/google/flatbuffers/go"
	"github.com/rs/zerolog"
)

// patience bounds whatever a test waits for.
const patience = 20 * time.Second

// skip leaves a test out, or fails it where FIVETUPLE_NO_SKIP=1 says that all must run.
func skip(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("FIVETUPLE_NO_SKIP") == "1" {
		t.Fatal("may not be skipped: " + why)
	}
	t.Skip(why)
}

// socketDir returns a folder whose name leaves room for a socket's: a unix path has 107 bytes.
func socketDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "srv") //nolint:usetesting // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// logLines collects a server's log.
type logLines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logLines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// testServer is a server under test with its socket and its log.
type testServer struct {
	*Server
	path string
	log  *logLines
}

// counter gives out 1, 2, 3...
func counter() func() (uint32, error) {
	var mu sync.Mutex
	var n uint32
	return func() (uint32, error) {
		mu.Lock()
		defer mu.Unlock()
		n++
		return n, nil
	}
}

// startServer serves the test plugins, and more, over a socket.
func startServer(t testing.TB, change func(*Options), more ...plugin.Plugin) *testServer {
	t.Helper()
	log := new(logLines)
	o := Options{
		Plugins: append(testPlugins(), more...), OnConfigError: ConfigErrorMark, Numbers: counter(), Log: zerolog.New(log),
	}
	if change != nil {
		change(&o)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(socketDir(t), "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(l)
	t.Cleanup(func() { _ = l.Close(); s.Close(t.Context()) })
	return &testServer{s, path, log}
}

// gateway is APISIX's side of one connection.
type gateway struct {
	t     testing.TB
	conn  net.Conn
	in    *bufio.Reader
	vars  map[string]string // a variable that is not in it is not set
	body  []byte            // of the request, or the response
	asked []string
}

func dial(t testing.TB, path string) *gateway {
	t.Helper()
	return newGateway(t, dialRaw(t, path))
}

func dialRaw(t testing.TB, path string) net.Conn {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		conn, err := net.Dial("unix", path)
		if err == nil {
			return conn
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		runtime.Gosched() // the library has no way to say that it listens
	}
}

func newGateway(t testing.TB, conn net.Conn) *gateway {
	t.Helper()
	t.Cleanup(func() { _ = conn.Close() })
	return bare(t, conn)
}

// bare returns a gateway whose connection the test closes.
func bare(t testing.TB, conn net.Conn) *gateway {
	t.Helper()
	_ = conn.SetDeadline(time.Now().Add(patience))
	return &gateway{t: t, conn: conn, in: bufio.NewReader(conn)}
}

func frame(k kind, payload []byte) []byte {
	f := binary.BigEndian.AppendUint32(nil, uint32(len(payload)))
	f[0] = byte(k)
	return append(f, payload...)
}

func (g *gateway) send(k kind, payload []byte) error {
	_, err := g.conn.Write(frame(k, payload))
	return err
}

func (g *gateway) receive() (kind, []byte, error) {
	var header [4]byte
	if _, err := io.ReadFull(g.in, header[:]); err != nil {
		return 0, nil, err
	}
	payload := make([]byte, binary.BigEndian.Uint32(header[:])&MaxFrame)
	_, err := io.ReadFull(g.in, payload)
	return kind(header[0]), payload, err
}

// try sends a frame, answers what is asked on the way, and returns the answer.
func (g *gateway) try(k kind, payload []byte) (reply, error) {
	if err := g.send(k, payload); err != nil {
		return reply{}, err
	}
	return g.await()
}

func (g *gateway) await() (reply, error) {
	for {
		k, payload, err := g.receive()
		if err != nil {
			return reply{}, err
		}
		if k != kindExtraInfo {
			return decodeReply(k, payload)
		}
		if err := g.send(kindExtraInfo, g.answer(payload)); err != nil {
			return reply{}, err
		}
	}
}

func (g *gateway) exchange(k kind, payload []byte) reply {
	g.t.Helper()
	r, err := g.try(k, payload)
	if err != nil {
		g.t.Fatal(err)
	}
	return r
}

// answer answers a question.
func (g *gateway) answer(payload []byte) []byte {
	name := questionName(payload)
	g.asked = append(g.asked, name)
	if name == "body" {
		return encodeResult(g.body, g.body != nil)
	}
	value, set := g.vars[strings.TrimPrefix(name, "$")]
	return encodeResult([]byte(value), set)
}

// questionName is "body", or a variable's name behind a "$".
func questionName(payload []byte) string {
	req := ei.GetRootAsReq(payload, 0)
	if req.InfoType() != ei.InfoVar {
		return "body"
	}
	var table flatbuffers.Table
	req.Info(&table)
	var v ei.Var
	v.Init(table.Bytes, table.Pos)
	return "$" + string(v.Name())
}

func encodeResult(value []byte, set bool) []byte {
	b := flatbuffers.NewBuilder(64)
	var result flatbuffers.UOffsetT
	if set {
		result = b.CreateByteVector(value)
	}
	ei.RespStart(b)
	if set {
		ei.RespAddResult(b, result)
	}
	b.Finish(ei.RespEnd(b))
	return b.FinishedBytes()
}

// prepare makes a token of a key and of plugin names and configurations in turn.
func (g *gateway) prepare(key string, conf ...string) uint32 {
	g.t.Helper()
	r := g.exchange(kindPrepareConf, encodePrepare(key, conf...))
	if r.Kind != kindPrepareConf || r.Token == 0 {
		g.t.Fatalf("PrepareConf of %s: %+v", key, r)
	}
	return r.Token
}

// route prepares a route whose plugin script does something.
func (g *gateway) route(ops string) uint32 {
	g.t.Helper()
	return g.prepare("route#r#ext-plugin-pre-req#1", "script", ops)
}

func (g *gateway) call(c call) reply {
	g.t.Helper()
	return g.exchange(kindHTTPReqCall, c.encode())
}

func (g *gateway) respond(c respCall) reply {
	g.t.Helper()
	return g.exchange(kindHTTPRespCall, c.encode())
}

func encodePrepare(key string, conf ...string) []byte {
	b := flatbuffers.NewBuilder(256)
	var entries []flatbuffers.UOffsetT
	for i := 0; i+1 < len(conf); i += 2 {
		entries = append(entries, encodeEntry(b, conf[i], conf[i+1]))
	}
	list := encodeVector(b, entries, pc.ReqStartConfVector)
	k := b.CreateString(key)
	pc.ReqStart(b)
	pc.ReqAddConf(b, list)
	pc.ReqAddKey(b, k)
	b.Finish(pc.ReqEnd(b))
	return b.FinishedBytes()
}

func encodeEntry(b *flatbuffers.Builder, name, value string) flatbuffers.UOffsetT {
	n, v := b.CreateString(name), b.CreateString(value)
	A6.TextEntryStart(b)
	A6.TextEntryAddName(b, n)
	A6.TextEntryAddValue(b, v)
	return A6.TextEntryEnd(b)
}

func encodeVector(
	b *flatbuffers.Builder, entries []flatbuffers.UOffsetT, start func(*flatbuffers.Builder, int) flatbuffers.UOffsetT,
) flatbuffers.UOffsetT {
	start(b, len(entries))
	for _, entry := range slices.Backward(entries) {
		b.PrependUOffsetT(entry)
	}
	return b.EndVector(len(entries))
}

// call is a HTTPReqCall.
type call struct {
	id, token     uint32
	method        A6.Method
	ip            []byte
	path          string
	args, headers [][2]string
}

func (c call) encode() []byte {
	b := flatbuffers.NewBuilder(512)
	list := func(pairs [][2]string, start func(*flatbuffers.Builder, int) flatbuffers.UOffsetT) flatbuffers.UOffsetT {
		var entries []flatbuffers.UOffsetT
		for _, p := range pairs {
			entries = append(entries, encodeEntry(b, p[0], p[1]))
		}
		return encodeVector(b, entries, start)
	}
	args, headers := list(c.args, hreq.ReqStartArgsVector), list(c.headers, hreq.ReqStartHeadersVector)
	ip, path := b.CreateByteVector(c.ip), b.CreateString(c.path)
	hreq.ReqStart(b)
	hreq.ReqAddId(b, c.id)
	hreq.ReqAddConfToken(b, c.token)
	hreq.ReqAddMethod(b, c.method)
	hreq.ReqAddSrcIp(b, ip)
	hreq.ReqAddPath(b, path)
	hreq.ReqAddArgs(b, args)
	hreq.ReqAddHeaders(b, headers)
	b.Finish(hreq.ReqEnd(b))
	return b.FinishedBytes()
}

// respCall is a HTTPRespCall.
type respCall struct {
	id, token uint32
	status    uint16
	headers   [][2]string
}

func (c respCall) encode() []byte {
	b := flatbuffers.NewBuilder(512)
	var entries []flatbuffers.UOffsetT
	for _, p := range c.headers {
		entries = append(entries, encodeEntry(b, p[0], p[1]))
	}
	headers := encodeVector(b, entries, hresp.ReqStartHeadersVector)
	hresp.ReqStart(b)
	hresp.ReqAddId(b, c.id)
	hresp.ReqAddConfToken(b, c.token)
	hresp.ReqAddStatus(b, c.status)
	hresp.ReqAddHeaders(b, headers)
	b.Finish(hresp.ReqEnd(b))
	return b.FinishedBytes()
}

// pair is a field with its value, or deleted.
type pair struct {
	Name, Value string
	Deleted     bool
}

// reply is an answer, whatever its type.
type reply struct {
	Kind                       kind
	Code                       apierr.Code
	Token, ID                  uint32
	Action                     string
	Status                     int
	Path                       string
	HasPath, HasBody           bool
	Headers, Args, RespHeaders []pair
	Body                       string
}

// decodeReply reads an answer; one that cannot be read is an error.
func decodeReply(k kind, payload []byte) (r reply, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("answer %v of %d bytes: %v", k, len(payload), p)
		}
	}()
	r.Kind = k
	switch k {
	case kindError:
		r.Code = apierr.GetRootAsResp(payload, 0).Code()
	case kindPrepareConf:
		r.Token = pc.GetRootAsResp(payload, 0).ConfToken()
	case kindHTTPReqCall:
		r.request(payload)
	case kindHTTPRespCall:
		resp := hresp.GetRootAsResp(payload, 0)
		r.ID, r.Status = resp.Id(), int(resp.Status())
		r.Headers = pairs(resp.HeadersLength(), resp.Headers)
		r.setBody(resp.BodyBytes())
	default:
		err = fmt.Errorf("answer of %v", k)
	}
	return r, err
}

func (r *reply) request(payload []byte) {
	resp := hreq.GetRootAsResp(payload, 0)
	r.ID = resp.Id()
	var table flatbuffers.Table
	if !resp.Action(&table) {
		return
	}
	switch resp.ActionType() {
	case hreq.ActionNONE:
	case hreq.ActionStop:
		var stop hreq.Stop
		stop.Init(table.Bytes, table.Pos)
		r.Action, r.Status = "stop", int(stop.Status())
		r.Headers = pairs(stop.HeadersLength(), stop.Headers)
		r.setBody(stop.BodyBytes())
	case hreq.ActionRewrite:
		var rewrite hreq.Rewrite
		rewrite.Init(table.Bytes, table.Pos)
		r.Action, r.Path, r.HasPath = "rewrite", string(rewrite.Path()), rewrite.Path() != nil
		r.Headers = pairs(rewrite.HeadersLength(), rewrite.Headers)
		r.Args = pairs(rewrite.ArgsLength(), rewrite.Args)
		r.RespHeaders = pairs(rewrite.RespHeadersLength(), rewrite.RespHeaders)
		r.setBody(rewrite.BodyBytes())
	}
}

func (r *reply) setBody(body []byte) { r.Body, r.HasBody = string(body), body != nil }

func pairs(n int, get func(*A6.TextEntry, int) bool) []pair {
	var all []pair
	var te A6.TextEntry
	for i := range n {
		if get(&te, i) {
			all = append(all, pair{string(te.Name()), string(te.Value()), te.Value() == nil})
		}
	}
	return all
}

// values returns the values that an answer gives a field, in order.
func values(all []pair, name string) []string {
	var found []string
	for _, p := range all {
		if strings.EqualFold(p.Name, name) && !p.Deleted {
			found = append(found, p.Value)
		}
	}
	return found
}

// isDeleted says whether an answer deletes a field.
func isDeleted(all []pair, name string) bool {
	for _, p := range all {
		if strings.EqualFold(p.Name, name) && p.Deleted {
			return true
		}
	}
	return false
}

// eventually waits until something holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatal("never came: " + what)
		}
		time.Sleep(time.Millisecond)
	}
}

// own is the user of the tests' connections.
func own() uint32 { return uint32(os.Geteuid()) }

// bound sets how many connections a server serves.
func (s *testServer) bound(soft, hard int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.softSessions, s.hardSessions = soft, hard
}
