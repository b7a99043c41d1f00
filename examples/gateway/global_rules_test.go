package gateway

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

const clearFunction = `return function() ngx.req.clear_header('X-Packet-Tuple') end`

// rulesWith returns a global rule with one plugin.
func rulesWith(plugin, phase string, functions ...string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "global_rules:\n  - id: rule\n    plugins:\n      %s:\n        phase: %s\n        functions:\n", plugin, phase)
	for _, f := range functions {
		fmt.Fprintf(&text, "          - %q\n", f)
	}
	return text.String()
}

// TestGlobalRulesRunInTheirPhase: in the rewrite phase before ext-plugin-pre-req, in the access phase between it and
// ext-plugin-post-req.
func TestGlobalRulesRunInTheirPhase(t *testing.T) {
	for _, test := range []struct {
		plugin, phase string
		want          []bool // whether pre-req, and post-req, get the header
	}{
		{"serverless-pre-function", "rewrite", []bool{false, false}},
		{"serverless-pre-function", "access", []bool{true, false}},
		{"serverless-post-function", "access", []bool{true, false}},
		{"serverless-pre-function", "header_filter", []bool{true, true}},
	} {
		s := newStand(t, standOptions{snippets: tupleSnippets, routes: rulesWith(test.plugin, test.phase, clearFunction) + `
routes:
  - id: r1
    uri: /*
    upstream: {type: roundrobin, nodes: {"UPSTREAM": 1}}
    plugins:
      ext-plugin-pre-req: {conf: [{name: a, value: ''}]}
      ext-plugin-post-req: {conf: [{name: a, value: ''}]}
`})
		wantStatus(t, s.client().do(get("/a")), http.StatusOK)
		var got []bool
		for _, call := range s.runner.calls(t) {
			got = append(got, valuesOf(call.Headers, "x-packet-tuple") != nil)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s in %s: pre-req and post-req get the header: %v, want %v", test.plugin, test.phase, got, test.want)
		}
	}
}

// TestGlobalRulesRunWithoutARoute, as in APISIX.
func TestGlobalRulesRunWithoutARoute(t *testing.T) {
	s := newStand(t, standOptions{snippets: tupleSnippets, routes: rulesWith("serverless-pre-function", "access", `return function(conf, ctx) ngx.req.clear_header("x-forwarded-proto"); end`) + `
routes: [{id: r1, uri: /only, upstream: {type: roundrobin, nodes: {"UPSTREAM": 1}}}]
`})
	wantStatus(t, s.client().do(get("/other")), http.StatusNotFound)
	if access := <-s.accesses; access.Header.Get("X-Forwarded-Proto") != "" || access.Header.Get("X-Forwarded-Host") == "" {
		t.Errorf("headers %v", access.Header)
	}
}

func TestLuaFunctionsThatAreUnderstood(t *testing.T) {
	for code, want := range map[string][]string{
		clearFunction: {"X-Packet-Tuple"},
		`return function(conf, ctx) ngx.req.clear_header("A") end`:                                          {"A"},
		"\n return  function( ctx )\n  ngx.req.clear_header('A');\n  ngx.req.clear_header( \"B\" )\nend;\n": {"A", "B"},
	} {
		if got, err := parseLua(code); err != nil || !slices.Equal(got.clears, want) {
			t.Errorf("%s: %q, %v", code, got.clears, err)
		}
	}
}

// TestWrongGlobalRulesAreRefused: also each function text that the stand-in does not play.
func TestWrongGlobalRulesAreRefused(t *testing.T) {
	const plugin = "global_rules[0].plugins.serverless-pre-function"
	tests := map[string]string{
		rulesWith("serverless-pre-function", "log", clearFunction):                                               plugin + `.phase: "log": the stand-in plays rewrite, access and header_filter only`,
		strings.Replace(rulesWith("serverless-pre-function", "access", "x"), "          - \"x\"\n", "", 1):       plugin + `.functions: at least one function is required`,
		rulesWith("limit-count", "access", clearFunction):                                                        `global_rules[0].plugins.limit-count: unknown field`,
		strings.Replace(rulesWith("serverless-pre-function", "access", clearFunction), "id: rule", "id: a/b", 1): `global_rules[0].id: "a/b" is not a rule id`,
		"global_rules:\n  - {id: a, plugins: {serverless-pre-function: {functions: [\"" + clearFunction + "\"]}}}\n" +
			"  - {id: b, plugins: {serverless-pre-function: {functions: [\"" + clearFunction + "\"]}}}\n": `global_rules[1].plugins.serverless-pre-function: another global rule configures this plugin, too`,
	}
	for _, code := range []string{
		"", "ngx.req.clear_header('A')", "return function() end", "return function() ngx.req.set_header('A', 1) end",
		"return function() ngx.req.clear_header(name) end", "return function() ngx.req.clear_header('A') end os.exit()",
		"return function() ngx.req.clear_header('A B') end", "return function() if ngx.var.x then ngx.req.clear_header('A') end end",
		"return function() ngx.req.clear_header('A') -- comment\nend", `return function() ngx.req.clear_header('A\n') end`,
	} {
		tests[rulesWith("serverless-pre-function", "access", clearFunction, code)] = plugin + ".functions[1]: the stand-in plays no other Lua than return function() ngx.req.clear_header('NAME') end, got "
	}
	for text, want := range tests {
		_, err := New(Options{APISIX: []byte(text + goodRoute + "#END"), Names: [2]string{"my.yaml", "its.yaml"}})
		wantConfigError(t, err, want, "my.yaml")
	}
}
