package thirdparties

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"fivetuple/conf"
	"fivetuple/correlator"
	"fivetuple/correlator/flow"
	"fivetuple/examples/gateway"
	"fivetuple/plugins"
	"fivetuple/runner/server"
)

// The plugins of a route that calls the runner, as apisix.yaml has them.
const (
	noPlugin = ""
	preReq   = `ext-plugin-pre-req: {allow_degradation: true, conf: [{name: packet-insight, value: '{}'}]}`
	silent   = `ext-plugin-pre-req: {allow_degradation: true, conf: [{name: packet-guard, value: '{"expose":"none"}'}, {name: packet-insight, value: '{"expose":"none"}'}]}`
	postReq  = `ext-plugin-post-req: {allow_degradation: true, conf: [{name: packet-insight, value: '{}'}]}`
	wrong    = `ext-plugin-pre-req: {allow_degradation: true, conf: [{name: packet-insight, value: '{"no":"such key"}'}]}`
	unknown  = `ext-plugin-pre-req: {allow_degradation: true, conf: [{name: no-such-plugin, value: '{}'}]}`
	guarded  = `ext-plugin-pre-req: {allow_degradation: true, conf: [{name: packet-guard, value: '{"mode":"enforce"}'}, {name: packet-insight, value: '{}'}]}`
	strict   = `ext-plugin-pre-req: {conf: [{name: packet-insight, value: '{}'}]}`
	postResp = `ext-plugin-post-resp: {allow_degradation: true, conf: [{name: packet-insight, value: '{}'}]}`
)

// kinds returns one route for each way on which APISIX sends request headers to somebody.
func (p *parties) kinds() []route {
	return []route{
		{"plain", http.StatusOK, []*party{p.upstream}},
		{"mirror", http.StatusOK, []*party{p.upstream, p.mirror}},
		{"forward-auth", http.StatusOK, []*party{p.auth, p.upstream}},
		{"ai-proxy", http.StatusOK, []*party{p.provider}},
		{"azure-functions", http.StatusOK, []*party{p.function}},
		{"http-logger", http.StatusOK, []*party{p.upstream, p.logger}},
		{"named", http.StatusOK, []*party{p.upstream, p.mirror}},
	}
}

// standInRoutes returns apisix.yaml: the routes of kinds, each with the runner's plugins.
func standInRoutes(p *parties, runner string, globalRules string) string {
	var text strings.Builder
	text.WriteString(globalRules + "routes:\n")
	for name, others := range map[string]string{
		"plain":           "",
		"mirror":          fmt.Sprintf("proxy-mirror: {host: 'http://%s'}", p.mirror.address),
		"forward-auth":    fmt.Sprintf("forward-auth: {uri: 'http://%s/', request_method: POST, request_headers: [X-Packet-Tuple, X-Junk-0]}", p.auth.address),
		"ai-proxy":        fmt.Sprintf("ai-proxy: {provider: openai-compatible, override: {endpoint: 'http://%s/v1/chat/completions'}}", p.provider.address),
		"azure-functions": fmt.Sprintf("azure-functions: {function_uri: 'http://%s/f'}", p.function.address),
		"http-logger":     fmt.Sprintf("http-logger: {uri: 'http://%s/log'}", p.logger.address),
		"named":           fmt.Sprintf("proxy-buffering: {disable_proxy_buffering: true}\n      proxy-mirror: {host: 'http://%s'}", p.mirror.address),
	} {
		fmt.Fprintf(&text, "  - id: %[1]s\n    uri: /%[1]s/*\n    upstream: {type: roundrobin, nodes: {\"%[2]s\": 1}}\n", name, p.upstream.address)
		if others+runner != "" {
			text.WriteString("    plugins:\n      " + others + "\n      " + runner + "\n")
		}
	}
	return text.String() + "#END\n"
}

// shippedGlobalRules returns the section global_rules of conf/apisix/apisix.yaml; empty if there is none.
func shippedGlobalRules(t *testing.T) string {
	t.Helper()
	var file struct {
		GlobalRules any `yaml:"global_rules"`
	}
	if err := yaml.Unmarshal(conf.APISIXRoutesFile(), &file); err != nil {
		t.Fatal(err)
	}
	if file.GlobalRules == nil {
		return ""
	}
	text, err := yaml.Marshal(map[string]any{"global_rules": file.GlobalRules})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// startStandIn starts the stand-in with the shipped config.yaml on a real socket, and returns its address.
func startStandIn(t *testing.T, routes, socket string) string {
	t.Helper()
	var config map[string]any
	if err := yaml.Unmarshal(conf.APISIXConfig(), &config); err != nil {
		t.Fatal(err)
	}
	config["ext-plugin"] = map[string]any{"path_for_test": socket}
	text, err := yaml.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	g, err := gateway.New(gateway.Options{APISIX: []byte(routes), Config: text})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- g.Serve(l) }()
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// runner is a runner with the real plugins, without an agent.
type runner struct {
	socket   string
	counters *plugins.Counters
	stats    *server.Stats
	off      atomic.Bool
	log      logBuffer
}

// startRunner serves the plugins on a unix socket; calls of a wrong configuration get what onConfigError says.
func startRunner(t *testing.T, onConfigError string) *runner {
	t.Helper()
	dir, err := os.MkdirTemp("", "tp") //nolint:usetesting // t.TempDir is too long for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	r := &runner{socket: filepath.Join(dir, "s"), counters: new(plugins.Counters), stats: new(server.Stats)}
	options := correlator.Options{Tuple: correlator.TupleHeader, Connections: 1024, Stale: 5e9, Quiet: 5e9}
	c, err := correlator.New(noTable{}, options, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	var number atomic.Uint32
	s, err := server.New(server.Options{
		Plugins:       plugins.All(plugins.Deps{Correlator: c, Tuple: options.Tuple, Now: func() uint64 { return 1e9 }, Counters: r.counters}),
		OnConfigError: onConfigError, Numbers: func() (uint32, error) { return number.Add(1), nil },
		Off: func(correlator.Route) bool { return r.off.Load() }, Stats: r.stats, Log: zerolog.New(&r.log),
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: r.socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(l)
	t.Cleanup(func() { s.Close(context.Background()) })
	return r
}

// noTable knows no connection.
type noTable struct{}

func (noTable) Lookup(flow.Key, *flow.Record) error { return flow.ErrNotFound }
func (noTable) HasUDP(flow.Key) bool                { return false }

// TestNoTupleReachesThirdParties calls each kind of route behind the shipped configuration, with and without a runner.
func TestNoTupleReachesThirdParties(t *testing.T) {
	for _, test := range []struct {
		name, plugins string
		down, off     bool
	}{
		{"no plugin", noPlugin, true, false},
		{"runner down", preReq, true, false},
		{"runner up", preReq, false, false},
		{"nothing exposed", silent, false, false},
		{"route off", preReq, false, true},
		{"wrong configuration", wrong, false, false},
		{"unknown plugin", unknown, false, false},
		{"guard", guarded, false, false},
		{"post-req", postReq, false, false},
		{"post-req, runner down", postReq, true, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, r := startParties(t), startRunner(t, server.ConfigErrorMark)
			r.off.Store(test.off)
			socket := r.socket
			if test.down {
				socket += ".none"
			}
			address := startStandIn(t, standInRoutes(p, test.plugins, shippedGlobalRules(t)), socket)
			for _, kind := range p.kinds() {
				kind.wantNoTuple(t, address, p)
			}
		})
	}
}

// TestARefusedCallIsLoggedWithoutItsTuple: the call ends in the rewrite phase, before the global rule's access phase, because the
// runner is down or because it refuses the call.
func TestARefusedCallIsLoggedWithoutItsTuple(t *testing.T) {
	for _, down := range []bool{true, false} {
		p, r := startParties(t), startRunner(t, server.ConfigErrorRefuse)
		plugins, socket := wrong, r.socket
		if down {
			plugins, socket = strict, "/nowhere/runner.sock"
		}
		address := startStandIn(t, standInRoutes(p, plugins, shippedGlobalRules(t)), socket)
		refused := route{"http-logger", http.StatusServiceUnavailable, []*party{p.logger}}
		refused.wantNoTuple(t, address, p)

		address = startStandIn(t, standInRoutes(p, plugins, ""), socket)
		if d := cmp.Diff(junkWhere(func(n int) bool { return n <= lastSeen }), refused.leaks(t, address, p.logger)); d != "" {
			t.Errorf("runner down %v: without the rule (-want +got):\n%s", down, d)
		}
	}
}

// TestUnderPostRespTheErrorIsVisible: our plugins do nothing there. The response says so and keeps its headers, the runner logs it
// with route and phase, and the global rule keeps the tuple from the upstream, which APISIX asks before the runner.
func TestUnderPostRespTheErrorIsVisible(t *testing.T) {
	p, r := startParties(t), startRunner(t, server.ConfigErrorMark)
	address := startStandIn(t, standInRoutes(p, postResp, shippedGlobalRules(t)), r.socket)
	plain := p.kinds()[0]
	plain.wantNoTuple(t, address, p)
	_, answer := plain.call(t, address, 0)
	if answer.Header.Get("X-Packet-Match") != "none;reason=config" || answer.Header.Get("X-Origin") != "upstream" {
		t.Errorf("the client got %v", answer.Header)
	}
	for _, want := range []string{`"level":"error"`, `"route":"plain"`, `"phase":"ext-plugin-post-resp"`, "move it to ext-plugin-pre-req"} {
		if !strings.Contains(r.log.String(), want) {
			t.Errorf("logged %s, want %s", &r.log, want)
		}
	}
	if configurations, calls := r.stats.ConfigErrors.Load(), r.stats.ConfigErrorCalls.Load(); configurations != 1 || calls != uint64(len(junkCounts())+1) {
		t.Errorf("counted %d configurations and %d calls", configurations, calls)
	}

	address = startStandIn(t, standInRoutes(p, postResp, ""), r.socket)
	if d := cmp.Diff(junkWhere(func(n int) bool { return n <= lastSeen }), plain.leaks(t, address, p.upstream)); d != "" {
		t.Errorf("without the rule (-want +got):\n%s", d)
	}
}

// TestWithoutTheGlobalRuleTheTupleReachesThirdParties is the negative control: it shows that the parties would notice, and
// what the documentation says of a gateway without the rule.
func TestWithoutTheGlobalRuleTheTupleReachesThirdParties(t *testing.T) {
	seen := junkWhere(func(n int) bool { return n <= lastSeen })
	for _, runnerPlugins := range []string{noPlugin, preReq} {
		p := startParties(t)
		address := startStandIn(t, standInRoutes(p, runnerPlugins, ""), "/nowhere/runner.sock")
		got := map[string][]int{}
		want := map[string][]int{
			"plain: upstream": nil, "mirror: upstream": nil, "mirror: mirror": junkCounts(), "forward-auth: auth": seen,
			"forward-auth: upstream": nil, "ai-proxy: model provider": seen, "azure-functions: function": seen,
			"http-logger: upstream": nil, "http-logger: logger": seen, "named: upstream": junkCounts(), "named: mirror": junkCounts(),
		}
		for _, kind := range p.kinds() {
			for _, to := range kind.reach {
				got[kind.name+": "+to.name] = kind.leaks(t, address, to)
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("plugins %q: junk lines with which the tuple arrives (-want +got):\n%s", runnerPlugins, d)
		}
	}
}

// TestTheRunnerRemovesTheTupleItself: without the global rule, on every path on which the runner answers, and also where the
// gateway did not show it the tuple.
func TestTheRunnerRemovesTheTupleItself(t *testing.T) {
	for name, runnerPlugins := range map[string]string{
		"packet-insight": preReq, "nothing exposed": silent, "wrong configuration": wrong, "unknown plugin": unknown, "packet-guard": guarded, "route off": preReq,
	} {
		t.Run(name, func(t *testing.T) {
			p, r := startParties(t), startRunner(t, server.ConfigErrorMark)
			r.off.Store(name == "route off")
			address := startStandIn(t, standInRoutes(p, runnerPlugins, ""), r.socket)
			for _, kind := range p.kinds() {
				kind.wantNoTuple(t, address, p)
			}
		})
	}
}

// TestThePluginReadsTheTupleBeforeTheGlobalRule: as the header in ext-plugin-pre-req, and as the variable in
// ext-plugin-post-req, which runs behind the rule.
func TestThePluginReadsTheTupleBeforeTheGlobalRule(t *testing.T) {
	for _, test := range []struct {
		plugins             string
		header, mapVariable int
	}{
		{preReq, 1, 0}, {postReq, 0, 1},
	} {
		p, r := startParties(t), startRunner(t, server.ConfigErrorMark)
		address := startStandIn(t, standInRoutes(p, test.plugins, shippedGlobalRules(t)), r.socket)
		plain := p.kinds()[0]
		requests, _ := plain.call(t, address, 0)
		if !strings.Contains(requests[0], "X-Packet-Match: none;reason=unknown-flow") {
			t.Errorf("%s: the upstream got\n%s", test.plugins, requests[0])
		}
		if h, v := r.counters.TupleHeader.Load(), r.counters.TupleMapVariable.Load(); int(h) != test.header || int(v) != test.mapVariable {
			t.Errorf("%s: %d tuples by header, %d by variable", test.plugins, h, v)
		}
	}
}

// TestNothingExposedReachesNobody: "expose": "none" leaves no header of ours on the call, neither toward a model provider nor
// toward the client, and the plugins still look at it.
func TestNothingExposedReachesNobody(t *testing.T) {
	p, r := startParties(t), startRunner(t, server.ConfigErrorMark)
	address := startStandIn(t, standInRoutes(p, silent, shippedGlobalRules(t)), r.socket)
	calls := 0
	for _, kind := range p.kinds() {
		for _, junk := range junkCounts() {
			requests, answer := kind.call(t, address, junk)
			calls++
			for i, request := range requests {
				if strings.Contains(strings.ToLower(request), "x-packet") {
					t.Errorf("/%s: the %s got\n%s", kind.name, kind.reach[i].name, request)
				}
			}
			for name := range answer.Header {
				if strings.HasPrefix(name, "X-Packet") {
					t.Errorf("/%s: the client got %s", kind.name, name)
				}
			}
		}
	}
	if got := r.counters.Matches(correlator.MatchNone); got != uint64(calls) {
		t.Errorf("packet-insight counted %d calls, want %d", got, calls)
	}
}

// TestAModelProviderGetsExposedHeaders: ai-proxy forwards every header.
func TestAModelProviderGetsExposedHeaders(t *testing.T) {
	p, r := startParties(t), startRunner(t, server.ConfigErrorMark)
	address := startStandIn(t, standInRoutes(p, preReq, shippedGlobalRules(t)), r.socket)
	requests, _ := p.kinds()[3].call(t, address, 0)
	if !strings.Contains(requests[0], "X-Packet-Match: ") {
		t.Errorf("the provider got\n%s", requests[0])
	}
}
