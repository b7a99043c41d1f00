package conf

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestShippedAPISIXConfig(t *testing.T) {
	g, err := APISIXGateway()
	if err != nil {
		t.Fatal(err)
	}
	if g.ExtPlugin.PathForTest != "/run/fivetuple/socket/runner.sock" || len(g.ExtPlugin.Cmd) != 0 {
		t.Errorf("ext-plugin %+v, want the socket of a runner that somebody else starts", g.ExtPlugin)
	}
	if !slices.Equal(g.Listen.Node, []int{9080}) || g.Listen.Status != (Status{"127.0.0.1", 7085}) {
		t.Errorf("listens on %+v", g.Listen)
	}
}

// TestSnippetIsTheTriedOne holds the tried directives literally: a slip here is a client that forges figures.
func TestSnippetIsTheTriedOne(t *testing.T) {
	g, err := APISIXGateway()
	if err != nil {
		t.Fatal(err)
	}
	const location = `more_clear_input_headers "X-Packet-*" "X_Packet_*" "X-Packet_*" "X_Packet-*";
more_clear_input_headers "X-Packet" "X_Packet";
more_set_input_headers "X-Packet-Tuple: $packet_tuple";
proxy_set_header X-Packet-Tuple "";
`
	const http = `map "" $packet_tuple { default "$realip_remote_addr $realip_remote_port $server_addr $server_port $connection $connection_requests $request_length $request_id"; }
`
	if d := cmp.Diff(location, g.Nginx.LocationSnippet); d != "" {
		t.Errorf("location snippet (-want +got):\n%s", d)
	}
	if d := cmp.Diff(http, g.Nginx.HTTPSnippet); d != "" {
		t.Errorf("http snippet (-want +got):\n%s", d)
	}
}

// TestAPISIXStartsTheRunner reads the other form, the one that the comment in config.yaml describes.
func TestAPISIXStartsTheRunner(t *testing.T) {
	text := string(APISIXConfig())
	const comment, path = "  #   cmd: ", "  path_for_test: "
	if !strings.Contains(text, comment) || !strings.Contains(text, path) {
		t.Fatal("config.yaml shows one form only")
	}
	text = strings.Replace(text, path, "  # path_for_test: ", 1)
	text = strings.Replace(text, comment, "  cmd: ", 1)
	g, err := ParseAPISIXConfig("x.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"/usr/local/bin/fivetuple", "run", "--take-over"}, g.ExtPlugin.Cmd); d != "" {
		t.Errorf("cmd (-want +got):\n%s", d)
	}
}

// TestParseAPISIXConfigRefuses changes the shipped file in one place each.
func TestParseAPISIXConfigRefuses(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"unknown key", "  role: data_plane", "  rule: data_plane", ": deployment.rule: unknown key"},
		{"role", "role: data_plane", "role: traditional", `: deployment.role: "traditional" is not one of data_plane`},
		{"provider", "config_provider: yaml", "config_provider: etcd", `deployment.role_data_plane.config_provider: "etcd" is not`},
		{"no port", "    - 9080\n", "", "apisix.node_listen: nothing is given, want a list"},
		{"port", "- 9080", "- 90800", "apisix.node_listen[0]: 90800 is not in 1..65535"},
		{"status port", "port: 7085", "port: 0", "apisix.status.port: 0 is not in 1..65535"},
		{"both ways", "  path_for_test:", "  cmd: [a]\n  path_for_test:", "ext-plugin.cmd: exactly one of"},
		{"path with its scheme", "path_for_test: /run", "path_for_test: unix:/run", "ext-plugin.path_for_test: \"unix:/run"},
		{"forged names pass", `    more_clear_input_headers "X-Packet" "X_Packet";` + "\n", "", "nginx_config.http_server_location_configuration_snippet: the line more_clear_input_headers"},
		{"a pattern less", `"X-Packet_*" `, "", "the line more_clear_input_headers"},
		{"commented out", `    more_set_input`, "    # more_set_input", "the line more_set_input_headers"},
		{"tuple reaches the upstream", `    proxy_set_header`, "    # proxy_set_header", "the line proxy_set_header X-Packet-Tuple"},
		{"values in another order", "$realip_remote_addr $realip_remote_port $server_addr", "$server_addr $realip_remote_addr $realip_remote_port", "the line map"},
		{"variable by another name", `"" $packet_tuple`, `"" $packet_touple`, "nginx_config.http_configuration_snippet: the line map"},
		{"not logged", `"$http_x_packet_size"`, `""`, "nginx_config.http.access_log_format: $http_x_packet_size is missing"},
		{"dictionary not logged", `"$http_x_packet"`, `""`, "nginx_config.http.access_log_format: $http_x_packet is missing"},
		{"log line ends early", `"match":`, `''match'':`, "nginx_config.http.access_log_format: a ' ends it"},
		{"escape", "escape: json", "escape: default", `nginx_config.http.access_log_format_escape: "default" is not one of json`},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(string(APISIXConfig()), c.old, c.new, 1)
			g, err := ParseAPISIXConfig("x.yaml", []byte(text))
			refused(t, err, c.want)
			if d := cmp.Diff(Gateway{}, g); d != "" {
				t.Errorf("an error and a gateway:\n%s", d)
			}
		})
	}
}

func TestSnippetOrder(t *testing.T) {
	lines := strings.SplitAfter(strings.Join(locationDirectives(), "\n")+"\n", "\n")
	slices.Reverse(lines)
	err := directives("s", strings.Join(lines, ""), locationDirectives())
	refused(t, err, "s: the line more_clear_input_headers \"X-Packet\" \"X_Packet\"; stands too early")
}

func TestShippedAPISIXRoutes(t *testing.T) {
	file, err := APISIXRoutes()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]PluginConf{}
	for _, r := range file.Routes {
		got[r.ID] = r.PluginConfs()
		if calls := len(r.Plugins.PreReq.Conf); calls > 0 && !r.Plugins.PreReq.AllowDegradation {
			t.Errorf("route %s refuses calls when the runner is down", r.ID)
		}
	}
	want := map[string][]PluginConf{
		"insight":      {{"packet-insight", "{}"}},
		"insight-both": {{"packet-insight", `{"headers":["match","latency","size","flow"],"expose":"both","format":"dictionary"}`}},
		"guard":        {{"packet-guard", `{"mode":"observe","refuse_above":0.9,"status":429,"retry_after":"5s","exempt":["10.0.0.0/8"]}`}, {"packet-insight", "{}"}},
		"plain":        nil,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("plugins by route (-want +got):\n%s", d)
	}
}

// TestDocumentedGlobalRuleIsTheShippedOne: the body of the Admin API call in the documentation.
func TestDocumentedGlobalRuleIsTheShippedOne(t *testing.T) {
	text, err := os.ReadFile("../docs/third-parties.md")
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(string(text), "<<'EOF'\n")
	body, _, _ = strings.Cut(body, "EOF\n")
	var documented struct {
		Plugins map[string]struct {
			Phase     string   `json:"phase"`
			Functions []string `json:"functions"`
		} `json:"plugins"`
	}
	if err := json.Unmarshal([]byte(body), &documented); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	file, err := APISIXRoutes()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]ServerlessFunction{}
	for name, f := range documented.Plugins {
		got[name] = ServerlessFunction(f)
	}
	shipped := file.GlobalRules[0].Plugins
	want := map[string]ServerlessFunction{"serverless-pre-function": shipped.PreFunction, "serverless-post-function": shipped.PostFunction}
	if d := cmp.Diff(want, got); d != "" || len(file.GlobalRules) != 1 {
		t.Errorf("%d rules; shipped (-) and documented (+):\n%s", len(file.GlobalRules), d)
	}
}

// TestParseAPISIXRoutesRefuses changes the shipped file in one place each.
func TestParseAPISIXRoutesRefuses(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"no end", "#END", "# END", "x.yaml: the last line is not #END"},
		{"end within a line", "\n#END", " #END", "x.yaml: the last line is not #END"},
		{"unknown key", "- id: insight\n", "- id: insight\n    url: /\n", ": routes[0].url: unknown key"},
		{"unknown plugin", "ext-plugin-pre-req", "ext-plugin-pre", "routes[0].plugins.ext-plugin-pre: unknown key"},
		{"id twice", "id: plain", "id: insight", `routes[3].id: "insight" is another route's too`},
		{"id", "id: plain", "id: a/b", `routes[3].id: "a/b" is not 1 to 64`},
		{"no uri", "    uri: /plain/*\n", "", "routes[3].uri: exactly one of uri and uris"},
		{"JSON", `value: '{}'`, `value: '{'`, `routes[0].plugins.ext-plugin-pre-req.conf[0].value: "{" is not a JSON object`},
		{"JSON, but no object", `value: '{}'`, `value: 'null'`, `routes[0].plugins.ext-plugin-pre-req.conf[0].value: "null" is not`},
		{"value is YAML", `value: '{}'`, `value: {}`, `routes[0].plugins.ext-plugin-pre-req.conf[0].value: keys and values, want text`},
		{"no name", "name: packet-insight", `name: ""`, "routes[0].plugins.ext-plugin-pre-req.conf[0].name: it is empty"},
		{"node", "127.0.0.1:1980", "127.0.0.1", `routes[0].upstream.nodes.127.0.0.1: not HOST:PORT`},
		{"node's port", ":1980", ":198000", `routes[0].upstream.nodes.127.0.0.1:198000: not HOST:PORT`},
		{"weight", `": 1`, `": -1`, `routes[0].upstream.nodes.127.0.0.1:1980: the weight -1 is below 0`},
		{"no access function", "phase: access", "phase: header_filter", `in the phase access: X-Packet-Tuple would reach third parties`},
		{"no header_filter function", "phase: header_filter", "phase: access", `in the phase header_filter: X-Packet-Tuple would reach third parties`},
		{"function", "clear_header('X-Packet-Tuple')", "clear_header('X-Packet')", `in the phase access`},
		{"too early", "phase: access", "phase: rewrite", `global_rules[0].plugins.serverless-pre-function.phase: "rewrite" is not one of access, header_filter`},
		{"two rules with one plugin", "global_rules:\n", "global_rules:\n  - {id: own, plugins: {serverless-pre-function: {phase: access, functions: [a]}}}\n", "global_rules[1].plugins.serverless-pre-function: another rule configures this plugin"},
		{"rule id", "id: fivetuple", "id: five/tuple", `global_rules[0].id: "five/tuple" is another rule's too, or not`},
		{"foreign plugin in a rule", "serverless-post-function", "limit-count", "global_rules[0].plugins.limit-count: unknown key"},
		{"degradation", "allow_degradation: true", "allow_degradation: yes", "allow_degradation: \"yes\" is text, want true or false"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(string(APISIXRoutesFile()), c.old, c.new, 1)
			file, err := ParseAPISIXRoutes("x.yaml", []byte(text))
			refused(t, err, c.want)
			if d := cmp.Diff(RoutesFile{}, file); d != "" {
				t.Errorf("an error and a file:\n%s", d)
			}
		})
	}
}

// TestEmbeddedFiles holds that each accessor returns its own file, and a copy of it.
func TestEmbeddedFiles(t *testing.T) {
	for name, text := range map[string]func() []byte{
		"fivetuple.yaml":     DefaultFile,
		"apisix/config.yaml": APISIXConfig,
		"apisix/apisix.yaml": APISIXRoutesFile,
	} {
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text()[0]++
		if d := cmp.Diff(string(want), string(text())); d != "" {
			t.Errorf("%s (-file +embedded):\n%s", name, d)
		}
	}
}

func refused(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v\nwant one with %s", err, want)
	}
}
