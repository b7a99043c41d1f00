package plugins_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/apisix-go-plugin-runner/pkg/plugin"
	"github.com/apache/apisix-go-plugin-runner/pkg/runner"
	"github.com/api7/ext-plugin-proto/go/A6"
	"github.com/api7/ext-plugin-proto/go/A6/ExtraInfo"
	"github.com/api7/ext-plugin-proto/go/A6/HTTPReqCall"
	"github.com/api7/ext-plugin-proto/go/A6/PrepareConf"
	flatbuffers "github.com/google/flatbuffers/go"
	"github.com/rs/zerolog"
	"go.uber.org/zap/zapcore"

	"fivetuple/correlator"
	"fivetuple/plugins"
)

// The frames of the protocol: their first byte.
const (
	framePrepareConf = 1
	frameHTTPReqCall = 2
	frameExtraInfo   = 3
)

// TestMain lets the library serve the plugins, as it does in the runner: it can be started once a process, and ends with it.
func TestMain(m *testing.M) {
	os.Exit(serveAndRun(m))
}

func serveAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "plugins")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := os.Setenv("APISIX_LISTEN_ADDRESS", "unix:"+socket(dir)); err != nil {
		panic(err)
	}
	cor, err := correlator.New(newWire(), correlator.Options{Tuple: correlator.TupleHeader, Connections: 1024, Stale: 5 * time.Second, Quiet: 5 * time.Second}, nil, nil)
	if err != nil {
		panic(err)
	}
	for _, p := range plugins.All(plugins.Deps{
		Correlator: cor, Tuple: correlator.TupleHeader, Now: func() uint64 { return wireNow }, Log: zerolog.Nop(),
	}) {
		if err := plugin.RegisterPlugin(p); err != nil {
			panic(err)
		}
	}
	go runner.Run(runner.RunnerConfig{LogLevel: zapcore.ErrorLevel})
	return m.Run()
}

func socket(dir string) string { return filepath.Join(dir, "runner.sock") }

// apisix is the gateway's side of the protocol.
type apisix struct {
	t     *testing.T
	conn  net.Conn
	vars  map[string]string
	asked []string
}

// dialLibrary returns a gateway that is connected to the library's server.
func dialLibrary(t *testing.T) *apisix {
	t.Helper()
	path := strings.TrimPrefix(os.Getenv("APISIX_LISTEN_ADDRESS"), "unix:")
	deadline := time.Now().Add(10 * time.Second)
	for {
		conn, err := net.Dial("unix", path)
		if err == nil {
			t.Cleanup(func() { _ = conn.Close() })
			_ = conn.SetDeadline(deadline)
			return &apisix{t: t, conn: conn, vars: map[string]string{}}
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		runtime.Gosched() // the server has no way to say that it listens
	}
}

// roundTrip sends a frame and returns the answer's payload; on the way it answers for variables.
func (a *apisix) roundTrip(kind byte, payload []byte) []byte {
	a.t.Helper()
	a.send(kind, payload)
	for {
		got, in := a.receive()
		if got != frameExtraInfo {
			if got != kind {
				a.t.Fatalf("a frame of type %d answers one of %d: %q", got, kind, in)
			}
			return in
		}
		a.send(frameExtraInfo, a.answer(in))
	}
}

func (a *apisix) send(kind byte, payload []byte) {
	a.t.Helper()
	frame := binary.BigEndian.AppendUint32(nil, uint32(len(payload)))
	frame[0] = kind
	if _, err := a.conn.Write(append(frame, payload...)); err != nil {
		a.t.Fatal(err)
	}
}

func (a *apisix) receive() (kind byte, payload []byte) {
	a.t.Helper()
	var head [4]byte
	_, err := io.ReadFull(a.conn, head[:])
	kind, head[0] = head[0], 0
	payload = make([]byte, binary.BigEndian.Uint32(head[:]))
	_, err2 := io.ReadFull(a.conn, payload)
	if err := errors.Join(err, err2); err != nil {
		a.t.Fatal(err)
	}
	return kind, payload
}

// answer says what a variable is.
func (a *apisix) answer(in []byte) []byte {
	var table flatbuffers.Table
	if !ExtraInfo.GetRootAsReq(in, 0).Info(&table) {
		a.t.Error("a question without a name")
	}
	var v ExtraInfo.Var
	v.Init(table.Bytes, table.Pos)
	name := string(v.Name())
	a.asked = append(a.asked, name)
	b := flatbuffers.NewBuilder(64)
	value := b.CreateByteVector([]byte(a.vars[name]))
	ExtraInfo.RespStart(b)
	ExtraInfo.RespAddResult(b, value)
	b.Finish(ExtraInfo.RespEnd(b))
	return b.FinishedBytes()
}

// entries writes a vector of names and values.
func entries(b *flatbuffers.Builder, start func(*flatbuffers.Builder, int) flatbuffers.UOffsetT, fields []string) flatbuffers.UOffsetT {
	var offsets []flatbuffers.UOffsetT
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		n, v := b.CreateString(name), b.CreateString(value)
		A6.TextEntryStart(b)
		A6.TextEntryAddName(b, n)
		A6.TextEntryAddValue(b, v)
		offsets = append(offsets, A6.TextEntryEnd(b))
	}
	start(b, len(offsets))
	for _, offset := range slices.Backward(offsets) {
		b.PrependUOffsetT(offset)
	}
	return b.EndVector(len(offsets))
}

// prepare returns the token of a route with a configuration of packet-insight.
func (a *apisix) prepare(conf string) uint32 {
	a.t.Helper()
	return a.prepareAll("packet-insight: " + conf)
}

// prepareAll is prepare for plugins, each "name: conf".
func (a *apisix) prepareAll(confs ...string) uint32 {
	a.t.Helper()
	b := flatbuffers.NewBuilder(256)
	key := b.CreateString("route#" + a.t.Name() + "#ext-plugin-pre-req#" + fmt.Sprint(confs))
	vector := entries(b, PrepareConf.ReqStartConfVector, confs)
	PrepareConf.ReqStart(b)
	PrepareConf.ReqAddKey(b, key)
	PrepareConf.ReqAddConf(b, vector)
	b.Finish(PrepareConf.ReqEnd(b))
	return PrepareConf.GetRootAsResp(a.roundTrip(framePrepareConf, b.FinishedBytes()), 0).ConfToken()
}

// call returns what a call's headers become: "NAME: VALUE", and "NAME" for a deletion; upstream's and the client's.
func (a *apisix) call(token uint32, fields ...string) (upstream, client []string) {
	a.t.Helper()
	b := flatbuffers.NewBuilder(1024)
	vector := entries(b, HTTPReqCall.ReqStartHeadersVector, fields)
	path := b.CreateString("/")
	HTTPReqCall.ReqStart(b)
	HTTPReqCall.ReqAddId(b, 1)
	HTTPReqCall.ReqAddConfToken(b, token)
	HTTPReqCall.ReqAddPath(b, path)
	HTTPReqCall.ReqAddHeaders(b, vector)
	b.Finish(HTTPReqCall.ReqEnd(b))
	resp := HTTPReqCall.GetRootAsResp(a.roundTrip(frameHTTPReqCall, b.FinishedBytes()), 0)
	var table flatbuffers.Table
	if resp.ActionType() != HTTPReqCall.ActionRewrite || !resp.Action(&table) {
		a.t.Fatalf("the answer is %v", resp.ActionType())
	}
	var rewrite HTTPReqCall.Rewrite
	rewrite.Init(table.Bytes, table.Pos)
	return changes(rewrite.HeadersLength(), rewrite.Headers), changes(rewrite.RespHeadersLength(), rewrite.RespHeaders)
}

func changes(n int, get func(*A6.TextEntry, int) bool) []string {
	var all []string
	for i := range n {
		var entry A6.TextEntry
		get(&entry, i)
		if entry.Value() == nil {
			all = append(all, string(entry.Name()))
			continue
		}
		all = append(all, fmt.Sprintf("%s: %s", entry.Name(), entry.Value()))
	}
	slices.Sort(all)
	return all
}

func checkChanges(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

func TestUnderTheLibrary(t *testing.T) {
	a := dialLibrary(t)
	upstream, client := a.call(a.prepare(`{"expose":"both"}`), "accept: */*", "x-packet-tuple: "+wireTuple)
	headers := []string{"X-Packet-Latency: " + wireLatency, "X-Packet-Match: " + wireMatch, "X-Packet-Size: " + wireSize}
	checkChanges(t, "upstream", upstream, append(headers, "X-Packet-Tuple")...)
	checkChanges(t, "client", client, headers...)
	checkChanges(t, "asked", a.asked)
}

func TestUnderTheLibraryWithoutATupleHeader(t *testing.T) {
	a := dialLibrary(t)
	a.vars["packet_tuple"] = wireTuple
	upstream, client := a.call(a.prepare(`{"headers":["match"]}`), "accept: */*")
	checkChanges(t, "upstream", upstream, "X-Packet-Match: "+wireMatch)
	checkChanges(t, "client", client)
	checkChanges(t, "asked", a.asked, "packet_tuple")
}

func TestUnderTheLibraryForged(t *testing.T) {
	a := dialLibrary(t)
	upstream, _ := a.call(a.prepare(`{"headers":["match"]}`), "x-packet-tuple: "+wireTuple,
		"x-packet-match: forged", "x-packet-match: again", "x_packet_size: 1", "x_packet_size: 2", "x-packet: 3", "x-packets: 4")
	checkChanges(t, "upstream", upstream, "X-Packet", "X-Packet-Match: "+wireMatch, "X-Packet-Tuple", "X_packet_size")
}

func TestUnderTheLibraryWrongConf(t *testing.T) {
	a := dialLibrary(t)
	upstream, _ := a.call(a.prepare(`{"headers":["other"]}`), "x-packet-tuple: "+wireTuple)
	checkChanges(t, "upstream", upstream, "X-Packet-Match: none;reason=config", "X-Packet-Tuple")
}

func TestUnderTheLibraryTruncated(t *testing.T) {
	a := dialLibrary(t)
	a.vars["packet_tuple"] = wireTuple
	upstream, _ := a.call(a.prepare(`{"headers":["match"]}`), manyFields(100)...)
	// The library tells the gateway of a deletion only where the header had come: one of its faults.
	checkChanges(t, "upstream", upstream, "X-Packet-Match: "+wireMatch+";headers=truncated")
}
