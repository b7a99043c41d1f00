package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/api7/ext-plugin-proto/go/A6"
	"github.com/api7/ext-plugin-proto/go/A6/HTTPReqCall"
	"github.com/api7/ext-plugin-proto/go/A6/PrepareConf"
	flatbuffers "github.com/google/flatbuffers/go"

	"fivetuple/correlator"
	"fivetuple/runner/switches"
)

// TestRouteOfARunner: `fivetuple route` switches what `fivetuple run` serves. A route with a wrong configuration is
// refused, unless it is off.
func TestRouteOfARunner(t *testing.T) {
	dir := t.TempDir()
	socket, file, config := filepath.Join(dir, "s"), filepath.Join(dir, "switches.yaml"), filepath.Join(dir, "fivetuple.yaml")
	listen := freeAddress(t)
	err := os.WriteFile(config, fmt.Appendf(nil, "runner: {socket: %s, switches: %s, drain: 0s, on_config_error: refuse}\n"+
		"agent: {pins: {path: %s}}\nlog: {level: error}\ncalls: {file: \"\"}\nbaseline: {file: \"\"}\nmetrics: {listen: %q}\n", socket, file, filepath.Join(dir, "pins"), listen), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(addressEnv, "")
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		root := newRootCommand()
		root.SetArgs([]string{"--config", config, "run"})
		root.SetErr(io.Discard) // the wrong configuration is logged
		ended <- root.ExecuteContext(ctx)
	}()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	conn := dialRunner(t, socket)
	defer func() { _ = conn.Close() }()
	token := prepareWrong(t, conn, "route#orders#ext-plugin-pre-req#1")
	for _, c := range []struct {
		to      string
		refused bool
	}{{"off", false}, {"on", true}, {"off", false}} {
		if _, _, err := routeCommand(t, file, "orders", c.to); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		for isRefused(t, conn, token) != c.refused {
			if time.Since(start) > time.Second {
				t.Fatalf("%s: not in force after a second", c.to)
			}
		}
	}
	checkNotes(t, conn, listen, file)
}

// checkNotes: a route that the runner has not seen is switched off, and people are told.
func checkNotes(t *testing.T, conn net.Conn, listen, file string) {
	t.Helper()
	unseen := fmt.Sprintf("the runner at %s has not seen ", listen)
	note := func(id, to string) string {
		t.Helper()
		out, _, err := routeCommandAt(t, listen, file, id, to)
		if err != nil {
			t.Fatal(err)
		}
		_, after, _ := strings.Cut(out, unseen)
		if set, err := switches.Read(file); err != nil || slices.Contains(set.IDs(), id) != (to == "off") {
			t.Errorf("%s is not %s: %v, %v", id, to, set.IDs(), err)
		}
		return after
	}
	for _, c := range []struct{ id, to, want string }{
		{"orders", "off", ""},
		{"oders", "off", "route oders since it started; it has seen orders\n"},
		{"oders", "on", ""},
		{"global", "off", "global rules since it started; it has seen orders\n"},
	} {
		if got := note(c.id, c.to); got != c.want {
			t.Errorf("%s %s: %q, want %q", c.id, c.to, got, c.want)
		}
	}
	prepareWrong(t, conn, "global_rule#1#ext-plugin-pre-req#1")
	for i := range 12 {
		prepareWrong(t, conn, fmt.Sprintf("route&service#r%02d&s#ext-plugin-pre-req#1&2", i))
	}
	if got := note("global", "off"); got != "" {
		t.Errorf("global rules: %q", got)
	}
	const want = "route x since it started; it has seen global, orders, r00, r01, r02, r03, r04, r05, r06, r07 and 4 more\n"
	if got := note("x", "off"); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if out, _, err := routeCommandAt(t, freeAddress(t), file, "y", "off"); err != nil || !strings.Contains(out, "is not known: no runner answers at ") {
		t.Errorf("%v\n%s", err, out)
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// dialRunner connects when the runner listens.
func dialRunner(t *testing.T, socket string) net.Conn {
	t.Helper()
	for start := time.Now(); ; {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			_ = conn.SetDeadline(time.Now().Add(time.Minute))
			return conn
		}
		if time.Since(start) > 10*time.Second {
			t.Fatal(err)
		}
	}
}

// frameTrip sends a frame and returns the payload of the answer, which is of the same type.
func frameTrip(t *testing.T, conn net.Conn, kind byte, payload []byte) []byte {
	t.Helper()
	frame := binary.BigEndian.AppendUint32(nil, uint32(len(payload)))
	frame[0] = kind
	_, err := conn.Write(append(frame, payload...))
	var head [4]byte
	_, err2 := io.ReadFull(conn, head[:])
	got := head[0]
	head[0] = 0
	answer := make([]byte, binary.BigEndian.Uint32(head[:]))
	_, err3 := io.ReadFull(conn, answer)
	if err := errors.Join(err, err2, err3); err != nil || got != kind {
		t.Fatalf("a frame of type %d answers one of %d: %v", got, kind, err)
	}
	return answer
}

// prepareWrong returns the token of a wrong configuration of packet-insight.
func prepareWrong(t *testing.T, conn net.Conn, key string) uint32 {
	t.Helper()
	return PrepareConf.GetRootAsResp(frameTrip(t, conn, 1, prepareBody(key, `{"expose":"nobody"}`)), 0).ConfToken()
}

// prepareBody is a PrepareConf with a configuration of packet-insight.
func prepareBody(key, conf string) []byte {
	b := flatbuffers.NewBuilder(len(conf) + 256)
	name, value, text := b.CreateString("packet-insight"), b.CreateString(conf), b.CreateString(key)
	A6.TextEntryStart(b)
	A6.TextEntryAddName(b, name)
	A6.TextEntryAddValue(b, value)
	entry := A6.TextEntryEnd(b)
	PrepareConf.ReqStartConfVector(b, 1)
	b.PrependUOffsetT(entry)
	list := b.EndVector(1)
	PrepareConf.ReqStart(b)
	PrepareConf.ReqAddKey(b, text)
	PrepareConf.ReqAddConf(b, list)
	b.Finish(PrepareConf.ReqEnd(b))
	return b.FinishedBytes()
}

// isRefused says whether the runner answers a call itself; else it wants it to remove the tuple's header and nothing else.
func isRefused(t *testing.T, conn net.Conn, token uint32) bool {
	t.Helper()
	b := flatbuffers.NewBuilder(256)
	path := b.CreateString("/")
	HTTPReqCall.ReqStart(b)
	HTTPReqCall.ReqAddId(b, 1)
	HTTPReqCall.ReqAddConfToken(b, token)
	HTTPReqCall.ReqAddPath(b, path)
	b.Finish(HTTPReqCall.ReqEnd(b))
	resp := HTTPReqCall.GetRootAsResp(frameTrip(t, conn, 2, b.FinishedBytes()), 0)
	if resp.ActionType() == HTTPReqCall.ActionStop {
		return true
	}
	var table flatbuffers.Table
	var rewrite HTTPReqCall.Rewrite
	var header A6.TextEntry
	if resp.ActionType() != HTTPReqCall.ActionRewrite || !resp.Action(&table) {
		t.Fatal("the tuple's header was not removed")
	}
	rewrite.Init(table.Bytes, table.Pos)
	if rewrite.HeadersLength() != 1 || !rewrite.Headers(&header, 0) || string(header.Name()) != correlator.TupleHeaderName || header.Value() != nil ||
		rewrite.ArgsLength()+rewrite.RespHeadersLength() > 0 || rewrite.Path() != nil {
		t.Fatal("a call was changed")
	}
	return false
}
