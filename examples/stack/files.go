package stack

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"fivetuple/conf"
	"fivetuple/examples/lab"
)

const settingsFile = "fivetuple.yaml"

// watched returns the interfaces that the agent attaches to: the gateway's two.
func watched() []string { return []string{lab.GatewayFrontInterface, lab.GatewayBackInterface} }

// makeDir makes the folder of all files. The runner is somebody else than the agent, so others may enter.
func makeDir() (string, error) {
	dir, err := os.MkdirTemp("", "fivetuple-")
	if err != nil {
		return "", err
	}
	socketDir := filepath.Join(dir, "socket")
	return dir, errors.Join(os.Chmod(dir, 0o755), os.Mkdir(socketDir, 0o755), os.Chown(socketDir, nobody, nobody))
}

func (s *Stack) path(name string) string { return filepath.Join(s.dir, name) }
func (s *Stack) socket() string          { return filepath.Join(s.dir, "socket", "runner.sock") }

// SettingsFile returns the path of the settings, for other commands.
func (s *Stack) SettingsFile() string { return s.path(settingsFile) }

// CallsFile returns the path of the runner's log of calls.
func (s *Stack) CallsFile() string { return filepath.Join(s.dir, "socket", "calls.jsonl") }

// writeFiles writes the settings of agent and runner: what differs from conf/fivetuple.yaml.
func (s *Stack) writeFiles() error {
	settings := map[string]any{
		"agent": map[string]any{
			"interfaces": watched(),
			"pins":       map[string]any{"path": s.Pins(), "group": strconv.Itoa(nobody)},
			"on_exit":    "remove",
		},
		"runner":   map[string]any{"socket": s.socket(), "drain": "0s", "switches": s.path("switches.yaml")},
		"baseline": map[string]any{"file": filepath.Join(s.dir, "socket", "baseline")},
		"calls":    map[string]any{"file": s.CallsFile()},
		"metrics":  map[string]any{"listen": s.options.Metrics},
	}
	if s.options.Tuple != "" {
		settings["correlator"] = map[string]any{"tuple": s.options.Tuple}
	}
	maps.Copy(settings, s.options.Settings)
	text, err := yaml.Marshal(settings)
	if err != nil {
		return fmt.Errorf("write settings: %w", err)
	}
	return os.WriteFile(s.path(settingsFile), text, 0o644)
}

// gatewayConfig returns conf/apisix/config.yaml with this stack's socket and, if asked, without the snippet.
func (s *Stack) gatewayConfig() ([]byte, error) {
	var config map[string]any
	if err := yaml.Unmarshal(conf.APISIXConfig(), &config); err != nil {
		return nil, fmt.Errorf("read conf/apisix/config.yaml: %w", err)
	}
	config["ext-plugin"] = map[string]any{"path_for_test": s.socket()}
	if nginx, ok := config["nginx_config"].(map[string]any); ok && s.options.NoSnippet {
		delete(nginx, "http_server_location_configuration_snippet")
	}
	return yaml.Marshal(config)
}

// SlowGateway is the pause of the route /slow/* before its plugin runs.
const SlowGateway = 300 * time.Millisecond

// globalRules returns the section global_rules of conf/apisix/apisix.yaml.
func globalRules() (string, error) {
	var file struct {
		GlobalRules any `yaml:"global_rules"`
	}
	if err := yaml.Unmarshal(conf.APISIXRoutesFile(), &file); err != nil {
		return "", fmt.Errorf("read conf/apisix/apisix.yaml: %w", err)
	}
	text, err := yaml.Marshal(map[string]any{"global_rules": file.GlobalRules})
	return string(text), err
}

// routes returns the gateway's routes to an upstream: with the plugin, with it in the other format, wrongly configured, with a
// plugin that only the benchmarks have, and without; with the plugin in both phases, behind one that guards, behind a slow plugin,
// behind one that reads the body, and for WebSocket.
func routes(upstream string) []byte {
	return fmt.Appendf(nil, `routes:
  - id: insight
    uri: /insight/*
    plugins:
      ext-plugin-pre-req:
        conf: [{name: packet-insight, value: '{"headers":["match","latency","size","flow"],"expose":"both"}'}]
    upstream: {type: roundrobin, nodes: {"%[1]s": 1}}
  - id: dictionary
    uri: /dictionary/*
    plugins:
      ext-plugin-pre-req:
        conf: [{name: packet-insight, value: '{"format":"dictionary"}'}]
    upstream: {type: roundrobin, nodes: {"%[1]s": 1}}
  - id: wrong
    uri: /wrong/*
    plugins:
      ext-plugin-pre-req:
        conf: [{name: packet-insight, value: '{"header":["match"]}'}]
    upstream: {type: roundrobin, nodes: {"%[1]s": 1}}
  - id: full
    uri: /full/*
    plugins:
      ext-plugin-pre-req:
        conf: [{name: packet-insight, value: '{"headers":["match","latency","size","flow"]}'}]
    upstream: {type: roundrobin, nodes: {"%[1]s": 1}}
  - id: nothing
    uri: /nothing/*
    plugins:
      ext-plugin-pre-req:
        conf: [{name: nothing, value: '{}'}]
    upstream: {type: roundrobin, nodes: {"%[1]s": 1}}
  - id: plain
    uri: /plain/*
    upstream: {type: roundrobin, nodes: {"%[1]s": 1}}
  - id: both
    uri: /both/*
    plugins:
      ext-plugin-pre-req:
        conf: [{name: packet-insight, value: '{}'}]
      ext-plugin-post-req:
        conf: [{name: packet-insight, value: '{}'}]
    upstream: {type: roundrobin, nodes: {"%[1]s": 1}}
%[2]s  - id: websocket
    uri: /websocket/*
    enable_websocket: true
    plugins:
      ext-plugin-pre-req:
        conf: [{name: packet-insight, value: '{}'}]
    upstream: {type: roundrobin, nodes: {"%[1]s": 1}}
#END
`, upstream, guardRoutes(upstream)+routesBehind(upstream))
}

// routesBehind returns those whose plugin runs behind another one: one that is slow, and one that reads the body.
func routesBehind(upstream string) string {
	return fmt.Sprintf(`  - id: slow
    uri: /slow/*
    plugins:
      fault-injection: {_meta: {priority: 12001}, delay: {duration: %[2]g}}
      ext-plugin-pre-req:
        conf: [{name: packet-insight, value: '{}'}]
    upstream: {type: roundrobin, nodes: {"%[1]s": 1}}
  - id: late
    uri: /late/*
    plugins:
      forward-auth: {uri: "http://%[1]s/auth", request_method: POST, request_headers: [X-Packet-Tuple]}
      ext-plugin-post-req:
        conf: [{name: packet-insight, value: '{}'}]
    upstream: {type: roundrobin, nodes: {"%[1]s": 1}}
`, upstream, SlowGateway.Seconds())
}

// guardRoutes returns those that refuse calls: in word, in deed, and not the client's.
func guardRoutes(upstream string) string {
	var text strings.Builder
	for _, r := range []struct{ id, guard string }{
		{"observed", `{}`},
		{"enforced", `{"mode":"enforce","retry_after":"7s"}`},
		{"exempt", fmt.Sprintf(`{"mode":"enforce","exempt":["%s/32","%s/128"]}`, lab.ClientIPv4, lab.ClientIPv6)},
	} {
		fmt.Fprintf(&text, `  - id: %[1]s
    uri: /%[1]s/*
    plugins:
      ext-plugin-pre-req:
        conf: [{name: packet-guard, value: '%[2]s'}, {name: packet-insight, value: '{}'}]
    upstream: {type: roundrobin, nodes: {"%[3]s": 1}}
`, r.id, r.guard, upstream)
	}
	return text.String()
}
