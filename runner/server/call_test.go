package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	pkghttp "github.com/apache/apisix-go-plugin-runner/pkg/http"
	"github.com/apache/apisix-go-plugin-runner/pkg/plugin"
	"github.com/api7/ext-plugin-proto/go/A6"
	hreq "github.com/api7/ext-plugin-proto/go/A6/HTTPReqCall"
	flatbuffers "github.com/google/flatbuffers/go"
	"github.com/google/go-cmp/cmp"

	"fivetuple/correlator"
)

// run calls a route whose plugin does something.
func run(t *testing.T, c call, ops string) reply {
	t.Helper()
	g := dial(t, startServer(t, nil).path)
	c.token = g.route(ops)
	return g.call(c)
}

func wantOne(t *testing.T, r reply, name string, want ...string) {
	t.Helper()
	if err := oneValue(r, name, want...); err != nil {
		t.Error(err)
	}
}

func TestCallIsSeenByPlugins(t *testing.T) {
	for _, ip := range [][]byte{{192, 0, 2, 7}, bytes.Repeat([]byte{0x20}, 16)} {
		c := call{id: 1<<22 + 5, method: A6.MethodDELETE, path: "/a%20b", ip: ip}
		r := run(t, c, `[{"Do":"echo"}]`)
		want := "4194309,DELETE,/a%20b,192.0.2.7"
		if len(ip) == 16 {
			want = "4194309,DELETE,/a%20b,2020:2020:2020:2020:2020:2020:2020:2020"
		}
		wantOne(t, r, "X-Echo", want)
		if r.ID != c.id {
			t.Errorf("id %d", r.ID)
		}
	}
}

func TestPathIsRewritten(t *testing.T) {
	if r := run(t, call{path: "/a"}, `[{"Do":"path","V":"/b"}]`); !r.HasPath || r.Path != "/b" {
		t.Errorf("%+v", r)
	}
	if r := run(t, call{path: "/a"}, `[{"Do":"path","V":"/a"}]`); r.Action != "" {
		t.Errorf("the same path: %+v", r)
	}
}

func TestArgsAreRewritten(t *testing.T) {
	args := [][2]string{{"keep", "1"}, {"keep", "2"}, {"set", "1"}, {"add", "1"}, {"del", "1"}, {"del", "2"}}
	r := run(t, call{args: args}, `[{"Do":"arg-set","K":"set","V":"2"},{"Do":"arg-add","K":"add","V":"2"},{"Do":"arg-del","K":"del"},{"Do":"arg-add","K":"new","V":""}]`)
	for name, want := range map[string]string{"keep": "[]", "set": `["2"]`, "add": `["1" "2"]`, "new": `[""]`, "del": "[]"} {
		if got := fmt.Sprintf("%q", values(r.Args, name)); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if !isDeleted(r.Args, "del") || isDeleted(r.Args, "keep") {
		t.Errorf("%+v", r.Args)
	}
}

func TestHeaderIsReadAnyCase(t *testing.T) {
	r := run(t, call{headers: [][2]string{{"x-some-field", "1"}, {"x-some-field", "2"}}},
		`[{"Do":"get","K":"X-SOME-field","V":"X-Before"},{"Do":"view"},{"Do":"get","K":"x-Some-Field","V":"X-After"}]`)
	wantOne(t, r, "X-Before", "got:1")
	wantOne(t, r, "X-After", "got:1")
}

func TestHeaderChangesAreSeenByLaterPlugins(t *testing.T) {
	for _, view := range []string{``, `{"Do":"view"},`} {
		s := startServer(t, nil)
		g := dial(t, s.path)
		token := g.prepare(routeKey, "script", `[`+view+`{"Do":"set","K":"x-a","V":"2"},{"Do":"del","K":"X-B"}]`,
			"script2", `[{"Do":"get","K":"X-A","V":"X-Seen-A"},{"Do":"get","K":"X-B","V":"X-Seen-B"}]`)
		r := g.call(call{token: token, headers: [][2]string{{"x-a", "1"}, {"x-b", "1"}}})
		wantOne(t, r, "X-Seen-A", "got:2")
		wantOne(t, r, "X-Seen-B", "got:")
		wantOne(t, r, "X-A", "2")
		if !isDeleted(r.Headers, "X-B") {
			t.Errorf("%+v", r)
		}
	}
}

func TestLastChangeCounts(t *testing.T) {
	r := run(t, call{headers: [][2]string{{"x-a", "1"}}}, `[{"Do":"del","K":"X-A"},{"Do":"set","K":"x-a","V":"2"},{"Do":"set","K":"X-B","V":"1"},{"Do":"del","K":"x-b"}]`)
	wantOne(t, r, "X-A", "2")
	if isDeleted(r.Headers, "X-A") || !isDeleted(r.Headers, "X-B") || len(values(r.Headers, "X-B")) != 0 {
		t.Errorf("%+v", r)
	}
}

func TestRespHeadersAreSent(t *testing.T) {
	r := run(t, call{}, `[{"Do":"resp-add","K":"Set-Cookie","V":"a"},{"Do":"resp-add","K":"Set-Cookie","V":"b"}]`)
	if got := values(r.RespHeaders, "Set-Cookie"); r.Action != "rewrite" || fmt.Sprint(got) != "[a b]" {
		t.Errorf("%+v", r)
	}
}

func TestSetBody(t *testing.T) {
	for _, body := range []string{"a body", strings.Repeat("b", 1<<20)} {
		if r := run(t, call{}, `[{"Do":"set-body","V":"`+body+`"}]`); r.Action != "rewrite" || r.Body != body {
			t.Errorf("%.200v", r)
		}
	}
}

func TestSetBodyIsReadByLaterPlugins(t *testing.T) {
	g := dial(t, startServer(t, nil).path)
	token := g.prepare(routeKey, "script", `[{"Do":"set-body","V":"new"}]`, "script2", `[{"Do":"body"}]`)
	r := g.call(call{token: token})
	wantOne(t, r, "X-Body", fmt.Sprintf("3,%x,<nil>", checksum([]byte("new"))))
	if len(g.asked) != 0 {
		t.Errorf("asked %v", g.asked)
	}
}

func TestBodyAndVarsAreAskedOnce(t *testing.T) {
	g := dial(t, startServer(t, nil).path)
	g.vars = map[string]string{"a": "1", "empty": ""}
	g.call(call{token: g.route(`[{"Do":"var","K":"a"},{"Do":"var","K":"unset"},{"Do":"var","K":"empty"},{"Do":"body"},
		{"Do":"body"},{"Do":"var","K":"a"},{"Do":"var","K":"unset"},{"Do":"var","K":"empty"}]`)})
	if got := fmt.Sprint(g.asked); got != "[$a $unset $empty body]" {
		t.Errorf("asked %s", got)
	}
}

func TestAnswersAreForgottenByTheNextCall(t *testing.T) {
	g := dial(t, startServer(t, nil).path)
	token := g.route(`[{"Do":"var","K":"a"},{"Do":"body"}]`)
	for i := range 3 {
		g.vars, g.body = map[string]string{"a": fmt.Sprint(i)}, []byte{byte(i)}
		r := g.call(call{token: token})
		wantOne(t, r, "X-Var-a", fmt.Sprintf(`"%d",false,<nil>`, i))
		wantOne(t, r, "X-Body", fmt.Sprintf("1,%x,<nil>", i))
	}
}

// TestVarsAreAskedInOneGo: all questions come before the first answer.
func TestVarsAreAskedInOneGo(t *testing.T) {
	g := dial(t, startServer(t, nil).path)
	token := g.route(`[{"Do":"vars"},{"Do":"var","K":"a"},{"Do":"var","K":"unset"}]`)
	if err := g.send(kindHTTPReqCall, call{token: token}.encode()); err != nil {
		t.Fatal(err)
	}
	g.vars = map[string]string{"a": "1", "b": "2", "d": ""}
	var answers []byte
	for range 4 {
		_, question, err := g.receive()
		if err != nil {
			t.Fatal(err)
		}
		answers = append(answers, frame(kindExtraInfo, g.answer(question))...)
	}
	if _, err := g.conn.Write(answers); err != nil {
		t.Fatal(err)
	}
	r, err := g.await()
	if err != nil {
		t.Fatal(err)
	}
	wantOne(t, r, "X-Vars", `["1" "2" "" ""],true,<nil>`)
	wantOne(t, r, "X-Var-a", `"1",false,<nil>`)
	if len(g.asked) != 4 {
		t.Errorf("asked %v", g.asked)
	}
}

func TestResponsePhase(t *testing.T) {
	g := dial(t, startServer(t, nil).path)
	g.vars, g.body = map[string]string{"upstream": "u"}, []byte("origin")
	token := g.prepare("route#r#ext-plugin-post-resp#1", "script", `[{"Do":"recho"},{"Do":"rvar","K":"upstream"},{"Do":"rbody"},{"Do":"rroute"},
		{"Do":"rset","K":"X-A","V":"1"},{"Do":"rdel","K":"X-B"},{"Do":"rview-add","K":"X-C","V":"2"},{"Do":"rstatus","V":"201"},{"Do":"rstatus","V":"500"}]`)
	r := g.respond(respCall{id: 8, token: token, status: 404, headers: [][2]string{{"X-B", "1"}, {"X-C", "1"}}})
	want := fmt.Sprintf(`8,404;upstream="u",<nil>;body=6,%x,<nil>;r,,,false`, checksum(g.body))
	if r.Kind != kindHTTPRespCall || r.ID != 8 || r.Status != 201 || r.Body != want || !isDeleted(r.Headers, "X-B") {
		t.Errorf("%+v, want %s", r, want)
	}
	wantOne(t, r, "X-A", "1")
	wantOne(t, r, "X-C", "1", "2")
}

func TestResponseWithoutChanges(t *testing.T) {
	g := dial(t, startServer(t, nil).path)
	r := g.respond(respCall{id: 8, token: g.route(`[{"Do":"rpeek","K":"X-B"}]`), status: 404, headers: [][2]string{{"X-B", "1"}}})
	if r.Kind != kindHTTPRespCall || r.ID != 8 || r.Status != 0 || r.HasBody || len(r.Headers) != 0 {
		t.Errorf("%+v", r)
	}
}

func TestResponseAnswerEndsTheChain(t *testing.T) {
	for _, ops := range []string{`[{"Do":"rwrite","V":"1"}]`, `[{"Do":"rstatus","V":"201"}]`} {
		g := dial(t, startServer(t, nil).path)
		r := g.respond(respCall{token: g.prepare(routeKey, "script", ops, "script2", `[{"Do":"rset","K":"X-2","V":"2"}]`)})
		if len(r.Headers) != 0 {
			t.Errorf("%+v", r)
		}
	}
}

func TestPanicIsLoggedWithPluginAndStack(t *testing.T) {
	s := startServer(t, nil)
	g := dial(t, s.path)
	token := g.prepare(routeKey, "script", `[{"Do":"panic","V":"on purpose"},{"Do":"rpanic","V":"on purpose"}]`)
	wantFailure(t, g.call(call{token: token}))
	wantFailure(t, g.respond(respCall{token: token}))
	for _, want := range []string{`"plugin":"script"`, "on purpose", "plugins_test.go"} {
		if strings.Count(s.log.String(), want) < 2 {
			t.Errorf("not logged twice: %s", want)
		}
	}
	if s.Stats().Panics.Load() != 2 {
		t.Errorf("counted %d", s.Stats().Panics.Load())
	}
	g.call(call{token: g.prepare(routeKey, "noop", "")})
}

// TestPanicLeavesNothing of its call in the next one's.
func TestPanicLeavesNothing(t *testing.T) {
	g := dial(t, startServer(t, nil).path)
	g.call(call{token: g.route(`[{"Do":"set","K":"X-A","V":"1"},{"Do":"arg-set","K":"a","V":"1"},{"Do":"path","V":"/p"},{"Do":"set-body","V":"b"},
		{"Do":"resp-add","K":"X","V":"1"},{"Do":"status","V":"418"},{"Do":"write","V":"w"},{"Do":"header","K":"X","V":"1"},{"Do":"panic"}]`)})
	if r := g.call(call{id: 1, token: g.prepare(routeKey, "noop", "")}); r.Action != "" {
		t.Errorf("%+v", r)
	}
	if r := g.call(call{id: 1, token: g.route(`[{"Do":"write","V":"only"}]`)}); r.Body != "only" || r.Status != 200 || len(r.Headers) != 0 {
		t.Errorf("%+v", r)
	}
}

func configServer(t *testing.T, then string) (*testServer, *gateway) {
	t.Helper()
	s := startServer(t, func(o *Options) { o.OnConfigError = then })
	return s, dial(t, s.path)
}

// wrongConfs are configurations with something wrong at their second place, and what is logged of it.
var wrongConfs = map[string][]string{
	`conf[1], plugin \"script\": unexpected end of JSON input`: {"noop", "", "script", "["},
	`conf[1]: there is no plugin \"scirpt\"`:                   {"noop", "", "scirpt", "[]"},
	`conf[1], plugin \"script\": plugin panicked: parse-panic`: {"noop", "", "script", `"parse-panic"`},
	`conf[1]: there is no plugin \"\"`:                         {"noop", "", "", ""},
}

func TestWrongConfIsLoggedAndCounted(t *testing.T) {
	for want, conf := range wrongConfs {
		s, g := configServer(t, ConfigErrorMark)
		g.prepare("route&service#r7&s1#ext-plugin-pre-req#1&2", conf...)
		if log := s.log.String(); !strings.Contains(log, want) || !strings.Contains(log, `route&service#r7&s1`) || s.Stats().ConfigErrors.Load() != 1 {
			t.Errorf("counted %d, logged %s, want %s", s.Stats().ConfigErrors.Load(), log, want)
		}
	}
}

// TestPanicOverAConfIsLoggedWithItsStack, as one in a call is.
func TestPanicOverAConfIsLoggedWithItsStack(t *testing.T) {
	s, g := configServer(t, ConfigErrorMark)
	g.prepare(routeKey, "script", `"parse-panic"`)
	if log := s.log.String(); s.Stats().Panics.Load() != 1 || !strings.Contains(log, `"plugin":"script"`) || !strings.Contains(log, "plugins_test.go") {
		t.Errorf("counted %d, logged %s", s.Stats().Panics.Load(), log)
	}
}

// TestWrongConfMarks: the call goes on, with the other plugins of the route.
func TestWrongConfMarks(t *testing.T) {
	for _, conf := range wrongConfs {
		_, g := configServer(t, ConfigErrorMark)
		r := g.call(call{token: g.prepare(routeKey, append(conf, "script2", `[{"Do":"set","K":"X-A","V":"1"}]`)...), headers: [][2]string{{"x-packet-match", "forged"}}})
		wantOne(t, r, "X-Packet-Match", "none;reason=config")
		wantOne(t, r, "X-A", "1")
	}
}

func TestWrongConfRefuses(t *testing.T) {
	for _, conf := range wrongConfs {
		_, g := configServer(t, ConfigErrorRefuse)
		token := g.prepare(routeKey, append(conf, "script2", `[{"Do":"set","K":"X-A","V":"1"}]`)...)
		if r := g.call(call{id: 4, token: token}); r.Action != "stop" || r.Status != http.StatusServiceUnavailable || r.ID != 4 {
			t.Errorf("request: %+v", r)
		}
		if r := g.respond(respCall{id: 5, token: token, status: 200}); r.Status != http.StatusServiceUnavailable || r.ID != 5 {
			t.Errorf("response: %+v", r)
		}
	}
}

// TestConfThatCarriesItsErrorIsRefused: our plugin's configuration tells calls itself what is wrong with it.
func TestConfThatCarriesItsErrorIsRefused(t *testing.T) {
	s, g := configServer(t, ConfigErrorRefuse)
	if r := g.call(call{token: g.prepare(routeKey, "packet-insight", `{"no":"such key"}`)}); r.Status != http.StatusServiceUnavailable {
		t.Errorf("%+v", r)
	}
	if s.Stats().ConfigErrors.Load() != 1 {
		t.Errorf("counted %d", s.Stats().ConfigErrors.Load())
	}
}

// TestRequestPluginUnderPostResp: a plugin that has nothing to do with responses is a wrong configuration there. It is logged
// with its route and phase, counted, and visible on the response, which keeps the headers that APISIX would send on.
func TestRequestPluginUnderPostResp(t *testing.T) {
	const key = "route&service#r7&s1#ext-plugin-post-resp#1&2"
	origin := [][2]string{
		{"X-Origin", "1"},
		{"Set-Cookie", "a=1"},
		{"Set-Cookie", "b=2"},
		{"Date", "now"},
		{"X-Packet-Match", "forged"},
		{"Content-Type", "text/plain"},
		{"Content-Length", "5"},
		{"Transfer-Encoding", "chunked"},
		{"Connection", "close"},
		{"Location", "/"},
		{"Server", "origin"},
	}
	for _, name := range []string{"packet-insight", "packet-guard"} {
		s, g := configServer(t, ConfigErrorMark)
		token := g.prepare(key, name, "{}")
		for _, want := range []string{`"level":"error"`, `"route":"r7"`, `"phase":"ext-plugin-post-resp"`, `plugin \"` + name + `\"`, "move it to ext-plugin-pre-req"} {
			if !strings.Contains(s.log.String(), want) {
				t.Errorf("logged %s, want %s", s.log, want)
			}
		}
		for range 2 {
			r := g.respond(respCall{id: 5, token: token, status: 200, headers: origin})
			got := map[string][]string{}
			for _, p := range r.Headers {
				got[p.Name] = append(got[p.Name], p.Value)
			}
			want := map[string][]string{"X-Origin": {"1"}, "Set-Cookie": {"a=1", "b=2"}, "Date": {"now"}, "X-Packet-Match": {"none;reason=config"}}
			if d := cmp.Diff(want, got); d != "" || r.Status != 0 || r.HasBody || r.ID != 5 {
				t.Errorf("%s: %+v, headers (-want +got):\n%s", name, r, d)
			}
		}
		if n, calls := s.Stats().ConfigErrors.Load(), s.Stats().ConfigErrorCalls.Load(); n != 1 || calls != 2 {
			t.Errorf("%s: counted %d configurations and %d calls", name, n, calls)
		}
		if r := g.call(call{token: g.prepare("route#r7#ext-plugin-post-req#1", name, "{}")}); isDeleted(r.Headers, "X-Packet-Match") || s.Stats().ConfigErrors.Load() != 1 {
			t.Errorf("%s in a request phase: %+v", name, r)
		}
		_, g = configServer(t, ConfigErrorRefuse)
		if r := g.respond(respCall{token: g.prepare(key, name, "{}"), status: 200, headers: origin}); r.Status != http.StatusServiceUnavailable {
			t.Errorf("%s, refused: %+v", name, r)
		}
	}
}

// TestMarkedResponseKeepsOtherPluginsChanges.
func TestMarkedResponseKeepsOtherPluginsChanges(t *testing.T) {
	_, g := configServer(t, ConfigErrorMark)
	token := g.prepare("route#r#ext-plugin-post-resp#1", "packet-insight", "{}",
		"script", `[{"Do":"rset","K":"Content-Type","V":"a/b"},{"Do":"rset","K":"X-A","V":"2"},{"Do":"rdel","K":"X-B"}]`)
	r := g.respond(respCall{token: token, status: 200, headers: [][2]string{{"X-A", "1"}, {"X-B", "1"}, {"Content-Type", "c/d"}}})
	wantOne(t, r, "X-A", "2")
	wantOne(t, r, "Content-Type", "a/b")
	wantOne(t, r, "X-Packet-Match", "none;reason=config")
	if len(values(r.Headers, "X-B")) != 0 {
		t.Errorf("%+v", r)
	}
}

// TestTheTupleIsRemovedWhereNoPluginDoes: a route that is off, a plugin that is not there, and a configuration without plugins.
func TestTheTupleIsRemovedWhereNoPluginDoes(t *testing.T) {
	s := startServer(t, func(o *Options) { o.Off = func(r correlator.Route) bool { return r.Route == "off" } })
	g := dial(t, s.path)
	for name, token := range map[string]uint32{
		"off":            g.prepare("route#off#ext-plugin-pre-req#1", "noop", ""),
		"unknown plugin": g.prepare("route#unknown#ext-plugin-pre-req#1", "scirpt", ""),
		"wrong":          g.prepare("route#wrong#ext-plugin-pre-req#1", "script", "["),
		"no plugin":      g.prepare("route#none#ext-plugin-pre-req#1"),
	} {
		for _, headers := range [][][2]string{nil, {{"x-packet-tuple", "1 2"}}} {
			if r := g.call(call{token: token, headers: headers}); !isDeleted(r.Headers, correlator.TupleHeaderName) {
				t.Errorf("%s: %+v", name, r)
			}
		}
	}
}

func TestRightConfIsNotCounted(t *testing.T) {
	s, g := configServer(t, ConfigErrorRefuse)
	if r := g.call(call{token: g.prepare(routeKey, "packet-insight", `{}`)}); r.Action != "rewrite" || s.Stats().ConfigErrors.Load() != 0 {
		t.Errorf("%+v", r)
	}
}

func TestSwitchedOffRouteRunsNothing(t *testing.T) {
	var asked []correlator.Route
	s := startServer(t, func(o *Options) {
		o.OnConfigError = ConfigErrorRefuse
		o.Off = func(r correlator.Route) bool { asked = append(asked, r); return r.Route == "off" }
	})
	g := dial(t, s.path)
	token := g.prepare("route#off#ext-plugin-pre-req#1", "script", `[{"Do":"panic"},{"Do":"rpanic"}]`, "unknown", "")
	want := reply{Kind: kindHTTPReqCall, Action: "rewrite", Headers: []pair{{Name: correlator.TupleHeaderName, Deleted: true}}}
	if d := cmp.Diff(want, g.call(call{token: token})); d != "" {
		t.Errorf("nothing but the tuple's header is removed (-want +got):\n%s", d)
	}
	if r := g.respond(respCall{token: token}); r.Kind != kindHTTPRespCall || len(r.Headers) > 0 {
		t.Errorf("%+v", r)
	}
	if len(asked) != 2 {
		t.Errorf("asked %v", asked)
	}
}

// TestOrderOfOneConnection: calls that are written at once are answered in order.
func TestOrderOfOneConnection(t *testing.T) {
	g := dial(t, startServer(t, nil).path)
	token := g.prepare(routeKey, "noop", "")
	var all []byte
	for i := range 500 {
		all = append(all, frame(kindHTTPReqCall, call{id: uint32(i + 1), token: token, path: strings.Repeat("p", i*7)}.encode())...)
	}
	go func() { _, _ = g.conn.Write(all) }()
	for i := range 500 {
		if r, err := g.await(); err != nil || r.ID != uint32(i+1) {
			t.Fatalf("call %d: %+v, %v", i, r, err)
		}
	}
}

func TestConnectionsAtOnce(t *testing.T) {
	s := startServer(t, nil)
	var wg sync.WaitGroup
	for i := range 32 {
		g := dial(t, s.path)
		wg.Go(func() {
			g.vars = map[string]string{"a": fmt.Sprint(i)}
			token := g.prepare(fmt.Sprintf("route#%d#ext-plugin-pre-req#1", i), "script", fmt.Sprintf(`[{"Do":"var","K":"a"},{"Do":"route"},{"Do":"set","K":"X-I","V":"%d"}]`, i))
			for n := range 50 {
				r, err := g.try(kindHTTPReqCall, call{id: uint32(n), token: token}.encode())
				if err != nil || oneValue(r, "X-I", fmt.Sprint(i)) != nil || oneValue(r, "X-Route", fmt.Sprintf("%d,,,false", i)) != nil {
					t.Errorf("connection %d: %+v, %v", i, r, err)
				}
			}
		})
	}
	wg.Wait()
}

// impatient starts a server that waits no time for its peers.
func impatient(t *testing.T) (*testServer, *gateway) {
	t.Helper()
	s := startServer(t, func(o *Options) {})
	s.peerWait, s.frameWait = 30*time.Millisecond, 30*time.Millisecond
	return s, dial(t, s.path)
}

// ends waits for a connection's end, reading nothing of use before it.
func (g *gateway) ends() {
	g.t.Helper()
	if r, err := g.await(); err == nil || os.IsTimeout(err) {
		g.t.Fatalf("the connection lives: %+v, %v", r, err)
	}
}

func TestIdlePeerIsNoSlowPeer(t *testing.T) {
	_, g := impatient(t)
	token := g.prepare(routeKey, "noop", "")
	for range 3 {
		time.Sleep(60 * time.Millisecond) // longer than a slow peer gets
		g.call(call{token: token, path: strings.Repeat("p", 9000)})
	}
}

func TestPeerThatStopsInAHeader(t *testing.T) {
	_, g := impatient(t)
	_, _ = g.conn.Write([]byte{2, 0})
	g.ends()
}

func TestPeerThatStopsInAPayload(t *testing.T) {
	_, g := impatient(t)
	_, _ = g.conn.Write([]byte{2, 0xff, 0xff, 0xff, 1, 2, 3})
	g.ends()
}

// TestPeerThatDrips: a byte now and then does not prolong a frame's time.
func TestPeerThatDrips(t *testing.T) {
	s, g := impatient(t)
	_, _ = g.conn.Write([]byte{2, 0, 1, 0})
	begun := time.Now()
	eventually(t, "an end of the connection", func() bool {
		_, err := g.conn.Write([]byte{0})
		time.Sleep(5 * time.Millisecond)
		return err != nil
	})
	if time.Since(begun) > time.Second || s.Stats().IOErrors.Load() != 1 {
		t.Errorf("after %v, counted %d", time.Since(begun), s.Stats().IOErrors.Load())
	}
}

func TestPeerThatNeverAnswersAQuestion(t *testing.T) {
	_, g := impatient(t)
	if err := g.send(kindHTTPReqCall, call{token: g.route(`[{"Do":"var","K":"a"}]`)}.encode()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := g.receive(); err != nil {
		t.Fatal(err)
	}
	g.ends()
}

func TestPeerThatNeverReads(t *testing.T) {
	s, g := impatient(t)
	token := g.route(`[{"Do":"write-n","V":"4000000"}]`)
	if err := g.send(kindHTTPReqCall, call{token: token}.encode()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "an end of the connection", func() bool { return s.Stats().IOErrors.Load() == 1 })
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.sessions) != 0 {
		t.Error("the session lives")
	}
}

func TestWrongAnswerToAQuestion(t *testing.T) {
	for name, answer := range map[string][]byte{
		"another type": frame(kindHTTPReqCall, encodeResult(nil, true)), "nothing": frame(kindExtraInfo, nil),
		"no table": frame(kindExtraInfo, bytes.Repeat([]byte{0xff}, 64)),
	} {
		_, g := impatient(t)
		if err := g.send(kindHTTPReqCall, call{token: g.route(`[{"Do":"var","K":"a"},{"Do":"var","K":"b"},{"Do":"body"}]`)}.encode()); err != nil {
			t.Fatal(err)
		}
		_, _, _ = g.receive()
		_, _ = g.conn.Write(answer)
		if k, _, err := g.receive(); err == nil && k != kindError {
			t.Errorf("%s: answered by %v", name, k)
		}
	}
}

// callOf returns a call of exactly so many bytes.
func callOf(t *testing.T, token uint32, size int) []byte {
	t.Helper()
	b := flatbuffers.NewBuilder(size + 64)
	for n := size - 64; n <= size; n++ {
		b.Reset()
		path := b.CreateByteString(make([]byte, n))
		hreq.ReqStart(b)
		hreq.ReqAddId(b, 6)
		hreq.ReqAddConfToken(b, token)
		hreq.ReqAddPath(b, path)
		b.Finish(hreq.ReqEnd(b))
		if missing := size - len(b.FinishedBytes()); missing < 4 {
			return append(b.FinishedBytes(), make([]byte, missing)...)
		}
	}
	t.Fatal("no such length")
	return nil
}

func TestLongestFrame(t *testing.T) {
	g := dial(t, startServer(t, nil).path)
	r := g.exchange(kindHTTPReqCall, callOf(t, g.prepare(routeKey, "noop", ""), MaxFrame))
	if r.Kind != kindHTTPReqCall || r.ID != 6 {
		t.Errorf("%+v", r)
	}
}

// TestLongestAnswer: payloads are multiples of four bytes, and the next longer one does not fit.
func TestLongestAnswer(t *testing.T) {
	g := dial(t, startServer(t, nil).path)
	if err := g.send(kindHTTPReqCall, call{token: g.route(`[{"Do":"write-n","V":"4"}]`)}.encode()); err != nil {
		t.Fatal(err)
	}
	_, short, err := g.receive()
	if err != nil {
		t.Fatal(err)
	}
	most := MaxFrame/4*4 - len(short) + 4
	if r := g.call(call{token: g.route(fmt.Sprintf(`[{"Do":"write-n","V":"%d"}]`, most))}); r.Action != "stop" || len(r.Body) != most {
		t.Errorf("%v, %d bytes", r.Kind, len(r.Body))
	}
	wantFailure(t, g.call(call{token: g.route(fmt.Sprintf(`[{"Do":"write-n","V":"%d"}]`, most+1))}))
}

// TestLongerAnswers fail, whichever part of them is long, and say so in the log.
func TestLongerAnswers(t *testing.T) {
	s := startServer(t, nil)
	g := dial(t, s.path)
	for i, ops := range []string{
		`{"Do":"write-n","V":"16777216"}`, `{"Do":"write-n","V":"200000000"}`,
		`{"Do":"set-n","K":"X-A","V":"9000000"},{"Do":"set-n","K":"X-B","V":"9000000"}`, `{"Do":"set-n","K":"X-A","V":"100000000"}`,
	} {
		wantFailure(t, g.call(call{token: g.route("[" + ops + "]")}))
		if got := s.Stats().TooLong.Load(); got != uint64(i+1) || strings.Count(s.log.String(), errFrameTooLong.Error()) != i+1 {
			t.Errorf("%s: counted %d, logged %s", ops, got, s.log)
		}
	}
	wantFailure(t, g.respond(respCall{token: g.route(`[{"Do":"rwrite-n","V":"16777216"}]`)}))
	g.call(call{token: g.prepare(routeKey, "noop", "")})
}

// TestHugeAnswerTakesNoMoreMemory: it is given up before it is built. FlatBuffers panics on two gigabytes.
func TestHugeAnswerTakesNoMoreMemory(t *testing.T) {
	g := dial(t, startServer(t, nil).path)
	token := g.route(`[{"Do":"set-huge"}]`)
	before := allocated()
	wantFailure(t, g.call(call{token: token}))
	if got := allocated() - before; got > 100<<20+1<<30+200<<20 {
		t.Errorf("%d bytes", got)
	}
}

func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// contextual hands out the contexts of its calls.
type contextual struct {
	noop
	contexts chan context.Context
}

func (contextual) Name() string { return "contextual" }

func (c contextual) RequestFilter(_ any, _ http.ResponseWriter, r pkghttp.Request) {
	c.contexts <- r.Context()
}

var _ plugin.Plugin = contextual{}

// TestContextEndsWithTheCall: whoever works for it in the background learns that it is over.
func TestContextEndsWithTheCall(t *testing.T) {
	p := contextual{contexts: make(chan context.Context, 1)}
	g := dial(t, startServer(t, nil, p).path)
	g.call(call{token: g.prepare(routeKey, "contextual", "")})
	ctx := <-p.contexts
	select {
	case <-ctx.Done():
	case <-time.After(2 * time.Second):
		t.Error("the context lives on")
	}
}

func TestContextLives56Seconds(t *testing.T) {
	wantOne(t, run(t, call{}, `[{"Do":"alive"}]`), "X-Alive", "true")
	r := request{started: time.Now()}
	if deadline, ok := r.Context().Deadline(); !ok || deadline.Sub(r.started) != 56*time.Second {
		t.Errorf("%v, %t", deadline, ok)
	}
	r.cancel()
}

// TestGoexit: a plugin that ends its goroutine ends its connection, not more.
func TestGoexit(t *testing.T) {
	s := startServer(t, nil)
	g := dial(t, s.path)
	if err := g.send(kindHTTPReqCall, call{token: g.route(`[{"Do":"goexit"}]`)}.encode()); err != nil {
		t.Fatal(err)
	}
	_ = g.conn.SetDeadline(time.Now().Add(2 * time.Second))
	g.ends()
}

func TestTooManyConnections(t *testing.T) {
	s := startServer(t, nil)
	s.bound(1, 1)
	first := dial(t, s.path)
	first.prepare(routeKey)
	second := dial(t, s.path)
	for start := time.Now(); time.Since(start) < 2*roomWait && s.Stats().Refused.Load() == 0; { // it is used all the time
		first.prepare(routeKey)
	}
	second.ends()
	_ = first.conn.Close()
	dial(t, s.path).prepare(routeKey)
	if s.Stats().Refused.Load() != 1 || s.Stats().Accepted.Load() != 3 {
		t.Errorf("refused %d of %d", s.Stats().Refused.Load(), s.Stats().Accepted.Load())
	}
}

// TestCloseFinishesACall and ends idle connections at once.
func TestCloseFinishesACall(t *testing.T) {
	s := startServer(t, nil)
	idle, busy := dial(t, s.path), dial(t, s.path)
	idle.prepare(routeKey)
	if err := busy.send(kindHTTPReqCall, call{id: 3, token: busy.route(`[{"Do":"var","K":"a"}]`)}.encode()); err != nil {
		t.Fatal(err)
	}
	_, question, err := busy.receive()
	if err != nil {
		t.Fatal(err)
	}
	lost := make(chan uint64)
	go func() { lost <- s.Close(t.Context()) }()
	idle.ends()
	_ = busy.send(kindExtraInfo, busy.answer(question))
	if r, err := busy.await(); err != nil || r.ID != 3 {
		t.Errorf("%+v, %v", r, err)
	}
	busy.ends()
	if n := <-lost; n != 0 {
		t.Errorf("lost %d", n)
	}
}

func TestCloseCountsWhatItLoses(t *testing.T) {
	s := startServer(t, nil)
	g := dial(t, s.path)
	if err := g.send(kindHTTPReqCall, call{token: g.route(`[{"Do":"var","K":"a"}]`)}.encode()); err != nil {
		t.Fatal(err)
	}
	_, _, _ = g.receive()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if lost := s.Close(ctx); lost != 1 || s.Stats().Lost.Load() != 1 {
		t.Errorf("lost %d, counted %d", lost, s.Stats().Lost.Load())
	}
	g.ends()
}

func TestOptionsAreChecked(t *testing.T) {
	for want, o := range map[string]Options{
		"a name of its own":                  {OnConfigError: ConfigErrorMark, Plugins: []plugin.Plugin{noop{}, noop{}}},
		`plugin ""`:                          {OnConfigError: ConfigErrorMark, Plugins: []plugin.Plugin{script{}}},
		`"panic" is not one of mark, refuse`: {OnConfigError: "panic"},
	} {
		if s, err := New(o); err == nil || s != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// TestLogIsOneLineAnEvent: whoever logs foreign text cannot forge a line.
func TestLogIsOneLineAnEvent(t *testing.T) {
	s := startServer(t, nil)
	g := dial(t, s.path)
	g.prepare("route#a\n{\"level\":\"forged\"}#"+strings.Repeat("x", 1<<16), strings.Repeat("p\n", 1<<16), "")
	for line := range strings.Lines(s.log.String()) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil || fields["level"] == "forged" || len(line) > 2000 {
			t.Errorf("%.300s: %v", line, err)
		}
	}
}
