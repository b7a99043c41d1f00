package plugins_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/api7/ext-plugin-proto/go/A6/HTTPReqCall"
	flatbuffers "github.com/google/flatbuffers/go"
	"github.com/rs/zerolog"

	"fivetuple/correlator"
	"fivetuple/plugins"
	"fivetuple/runner/server"
)

// serveOwn lets our own server serve the plugins, and returns a gateway that is connected to it. What plugins and server
// log comes into one buffer, to be read when the answer is there.
func serveOwn(t *testing.T, way, onConfigError string) (*apisix, *plugins.Counters, *bytes.Buffer) {
	t.Helper()
	d := plugins.Deps{Correlator: newCorrelator(t, newWire()), Tuple: way, Now: func() uint64 { return wireNow }, Counters: new(plugins.Counters)}
	a, log := serveDeps(t, d, onConfigError)
	return a, d.Counters, log
}

func serveDeps(t *testing.T, d plugins.Deps, onConfigError string) (*apisix, *bytes.Buffer) {
	t.Helper()
	log := new(bytes.Buffer)
	d.Log = zerolog.New(log).Level(zerolog.InfoLevel)
	var number atomic.Uint32
	s, err := server.New(server.Options{
		Plugins:       plugins.All(d),
		OnConfigError: onConfigError, Numbers: func() (uint32, error) { return number.Add(1), nil }, Log: zerolog.New(log),
	})
	if err != nil {
		t.Fatal(err)
	}
	address := &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s"), Net: "unix"}
	l, err := net.ListenUnix("unix", address)
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(l)
	t.Cleanup(func() { s.Close(context.Background()) })
	conn, err := net.DialUnix("unix", nil, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	return &apisix{t: t, conn: conn, vars: map[string]string{}}, log
}

// callFrame returns a call with header fields, each "name: value".
func callFrame(token uint32, fields []string) []byte {
	b := flatbuffers.NewBuilder(1024)
	vector := entries(b, HTTPReqCall.ReqStartHeadersVector, fields)
	path := b.CreateString("/")
	HTTPReqCall.ReqStart(b)
	HTTPReqCall.ReqAddId(b, 1)
	HTTPReqCall.ReqAddConfToken(b, token)
	HTTPReqCall.ReqAddPath(b, path)
	HTTPReqCall.ReqAddHeaders(b, vector)
	b.Finish(HTTPReqCall.ReqEnd(b))
	return b.FinishedBytes()
}

// TestOneRoundTripUnderOurServer: all questions are there before one is answered.
func TestOneRoundTripUnderOurServer(t *testing.T) {
	a, counters, _ := serveOwn(t, correlator.TupleVariables, server.ConfigErrorMark)
	values := strings.Fields(wireTuple)
	for i, name := range strings.Fields(wireVariables) {
		a.vars[name] = values[i]
	}
	token := a.prepare(`{"headers":["match"]}`)
	a.send(frameHTTPReqCall, callFrame(token, []string{"accept: */*"}))
	var answers [][]byte
	for range values {
		kind, question := a.receive()
		if kind != frameExtraInfo {
			t.Fatalf("a frame of type %d, want a question", kind)
		}
		answers = append(answers, a.answer(question))
	}
	for _, answer := range answers {
		a.send(frameExtraInfo, answer)
	}
	if kind, _ := a.receive(); kind != frameHTTPReqCall || strings.Join(a.asked, " ") != wireVariables {
		t.Errorf("a frame of type %d; asked %q", kind, a.asked)
	}
	checkCounters(t, "one call", counters, map[string]uint64{"TupleVariables": 1, "exchange": 1})
}

// TestConfErrorIsRefused: the server asks the configuration for its error, refuses the calls if it is to, and logs the
// error once, with key and place; the plugin logs nothing.
func TestConfErrorIsRefused(t *testing.T) {
	a, counters, log := serveOwn(t, correlator.TupleHeader, server.ConfigErrorRefuse)
	token := a.prepare(`{"headers":["match"],"expose":"nobody"}`)
	for range 3 {
		status, body := a.stopped(token, "x-packet-tuple: "+wireTuple)
		if status != http.StatusServiceUnavailable || !strings.Contains(body, "plugin configuration error") {
			t.Errorf("status %d, %q", status, body)
		}
	}
	checkOneError(t, log, a.t.Name(), `conf[0], plugin "packet-insight": `+wrong+`expose: "\"nobody\"" is not one of`)
	checkCounters(t, "refused", counters, map[string]uint64{"ConfErrors": 1})
	right, _ := a.call(a.prepare(`{"headers":["match"]}`), "x-packet-tuple: "+wireTuple)
	if !slices.Contains(right, "X-Packet-Match: "+wireMatch) {
		t.Errorf("a right configuration: %q", right)
	}
}

func TestConfErrorIsMarked(t *testing.T) {
	a, counters, log := serveOwn(t, correlator.TupleHeader, server.ConfigErrorMark)
	token := a.prepare(`{"headers":["other"]}`)
	for range 3 {
		upstream, _ := a.call(token, "x-packet-match: forged")
		if !slices.Contains(upstream, "X-Packet-Match: none;reason=config") {
			t.Errorf("upstream %q", upstream)
		}
	}
	checkOneError(t, log, a.t.Name(), `conf[0], plugin "packet-insight": `+wrong+`headers[0]: "other" is not one of`)
	checkCounters(t, "marked", counters, map[string]uint64{"ConfErrors": 1, "ConfErrorCalls": 3, "none": 3})
}

// checkOneError wants one line of the log, an error's.
func checkOneError(t *testing.T, log *bytes.Buffer, key, want string) {
	t.Helper()
	var line struct{ Level, Error, Key string }
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if err := json.Unmarshal([]byte(lines[0]), &line); err != nil {
		t.Fatalf("%v: %s", err, log)
	}
	if len(lines) != 1 || line.Level != "error" || !strings.Contains(line.Key, "route#"+key+"#") || !strings.Contains(line.Error, want) {
		t.Errorf("logged\n%s\nwant one error of %s with\n%s", log, key, want)
	}
}

// stopped makes a call that has to be answered by the runner.
func (a *apisix) stopped(token uint32, fields ...string) (status uint16, body string) {
	a.t.Helper()
	resp := HTTPReqCall.GetRootAsResp(a.roundTrip(frameHTTPReqCall, callFrame(token, fields)), 0)
	var table flatbuffers.Table
	if resp.ActionType() != HTTPReqCall.ActionStop || !resp.Action(&table) {
		a.t.Fatalf("the answer is %v", resp.ActionType())
	}
	var stop HTTPReqCall.Stop
	stop.Init(table.Bytes, table.Pos)
	return stop.Status(), string(stop.BodyBytes())
}
