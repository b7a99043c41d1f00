package gateway

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

const goodRoute = "routes:\n  - id: r1\n    uri: /a\n    upstream: {type: roundrobin, nodes: {\"127.0.0.1:80\": 1}}\n"

func TestWrongRoutesAreRefusedWithPlaceKeyAndValue(t *testing.T) {
	for name, tc := range map[string]struct{ file, want string }{
		"no end marker":      {"routes: []\n", "does not end with #END"},
		"end marker in text": {"routes: [] # not the #END of it\n", "does not end with #END"},
		"unknown key":        {goodRoute + "    hosts: [a]\n#END", `my.yaml:5:5: routes[0].hosts: unknown field "hosts" (value "hosts")`},
		"unknown top key":    {"services: []\n#END", `my.yaml:1:1: services: unknown field "services"`},
		"unknown plugin":     {goodRoute + "    plugins: {limit-req: {}}\n#END", `my.yaml:5:15: routes[0].plugins.limit-req: unknown field`},
		"number for text":    {strings.Replace(goodRoute, "/a", "5", 1) + "#END", `my.yaml:3:10: routes[0].uri: want a string, got integer (value "5")`},
		"text for boolean":   {goodRoute + "    plugins: {ext-plugin-pre-req: {conf: [{name: a, value: b}], allow_degradation: maybe}}\n#END", `my.yaml:5:84: routes[0].plugins.ext-plugin-pre-req.allow_degradation`},
		"text for list":      {strings.Replace(goodRoute, "uri: /a", "uris: /a", 1) + "#END", `my.yaml:3:11: routes[0].uris`},
		"no yaml":            {"routes: [\n#END", "my.yaml:1:9"},
		"doubled key":        {goodRoute + "    uri: /b\n#END", "my.yaml:5:5"},
		"number for value":   {goodRoute + "    plugins: {ext-plugin-pre-req: {conf: [{name: a, value: 5}]}}\n#END", `my.yaml:5:60: routes[0].plugins.ext-plugin-pre-req.conf[0].value: want a string, got integer (value "5")`},
		"no value":           {goodRoute + "    plugins: {ext-plugin-pre-req: {conf: [{name: a}]}}\n#END", "conf[0]: value is missing"},
		"no plugins in conf": {goodRoute + "    plugins: {ext-plugin-pre-req: {conf: []}}\n#END", "wants at least one plugin"},
		"no id":              {"routes:\n  - uri: /a\n    upstream: {nodes: {\"a:1\": 1}}\n#END", `my.yaml:2:5: routes[0].id: "" is no route id`},
		"doubled id":         {goodRoute + strings.TrimPrefix(goodRoute, "routes:\n") + "#END", `my.yaml:5:9: routes[1].id: route "r1" is there twice`},
		"no uri":             {strings.Replace(goodRoute, "    uri: /a\n", "", 1) + "#END", "want one of uri and uris"},
		"star inside":        {strings.Replace(goodRoute, "/a", "/a*b", 1) + "#END", `my.yaml:3:10: routes[0].uri: "/a*b": want a path, * only at its end`},
		"method":             {goodRoute + "    methods: [get]\n#END", `routes[0].methods: "get" is no method`},
		"no upstream":        {"routes:\n  - id: r1\n    uri: /a\n#END", "routes[0].upstream: a route needs an upstream"},
		"chash":              {strings.Replace(goodRoute, "roundrobin", "chash", 1) + "#END", `my.yaml:4:22: routes[0].upstream.type: "chash": the stand-in plays roundrobin only`},
		"no nodes":           {strings.Replace(goodRoute, `{"127.0.0.1:80": 1}`, "{}", 1) + "#END", "an upstream needs nodes"},
		"bad port":           {strings.Replace(goodRoute, `127.0.0.1:80`, "127.0.0.1:http", 1) + "#END", `"127.0.0.1:http" is not host:port`},
		"bad weight":         {strings.Replace(goodRoute, `": 1`, `": one`, 1) + "#END", "want a weight"},
		"node key":           {strings.Replace(goodRoute, `{"127.0.0.1:80": 1}`, "[{host: a, port: 1, wait: 1}]", 1) + "#END", `unknown key "wait"`},
		"node without host":  {strings.Replace(goodRoute, `{"127.0.0.1:80": 1}`, "[{port: 1, weight: 1}]", 1) + "#END", "host or weight is missing"},
		"two documents":      {"routes: []\n---\nroutes: []\n#END", "2 YAML documents"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(Options{APISIX: []byte(tc.file), Names: [2]string{"my.yaml", "its.yaml"}})
			wantConfigError(t, err, tc.want, "my.yaml")
		})
	}
}

func wantConfigError(t *testing.T, err error, wants ...string) {
	t.Helper()
	if !errors.Is(err, ErrConfig) {
		t.Fatalf("got %v, want ErrConfig", err)
	}
	for _, want := range wants {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %v\nwant in it %q", err, want)
		}
	}
}

func TestBothFormsOfNodes(t *testing.T) {
	for _, nodes := range []string{`{"a.example:8080": 2, "b.example": 1}`, `[{host: a.example, port: 8080, weight: 2}, {host: b.example, weight: 1}]`} {
		routes, _, err := loadRoutes("f", []byte(strings.Replace(goodRoute, `{"127.0.0.1:80": 1}`, nodes, 1)+"#END\n"))
		if err != nil {
			t.Fatal(err)
		}
		var order []string
		for range 6 {
			address, _ := routes[0].nodes.next()
			order = append(order, address)
		}
		want := []string{"a.example:8080", "b.example:80", "a.example:8080"}
		if !slices.Equal(order, append(want, want...)) {
			t.Errorf("%s: order %q", nodes, order)
		}
	}
}

func TestWrongConfigIsRefused(t *testing.T) {
	snippet := func(key, text string) string {
		return "nginx_config:\n  " + key + ": |\n    " + strings.ReplaceAll(text, "\n", "\n    ") + "\n"
	}
	const location, http = "http_server_location_configuration_snippet", "http_configuration_snippet"
	for name, tc := range map[string]struct{ file, want string }{
		"unknown key":             {"ext-plugin: {path: /a}\n", `its.yaml:1:14: ext-plugin.path: unknown field "path" (value "path")`},
		"number for path":         {"ext-plugin: {path_for_test: 1}\n", `its.yaml:1:29: ext-plugin.path_for_test: want a string`},
		"add_header":              {snippet(location, "add_header X y;"), `nginx_config.` + location + `: line 1: ["add_header" "X" "y"]: the stand-in does not play this`},
		"other line":              {snippet(location, "# comment\nproxy_set_header A \"\";\nset $a b;"), `line 3: ["set" "$a" "b"]`},
		"proxy_set_header value":  {snippet(location, "proxy_set_header A b;"), `only proxy_set_header NAME ""`},
		"if block":                {snippet(location, "if ($a) { set $b c; }"), `"if" "($a)"`},
		"map with a source":       {snippet(http, "map $a $b { default c; }"), `only map "" $name`},
		"map with a case":         {snippet(http, `map "" $b { default c; x y; }`), `only map "" $name`},
		"more in http":            {snippet(http, `more_clear_input_headers "A";`), "does not play this"},
		"unknown variable":        {snippet(location, `more_set_input_headers "A: $nosuch";`), "unknown variable $nosuch"},
		"unknown in a map":        {snippet(http, `map "" $b { default $nosuch; }`), "unknown variable $nosuch"},
		"map in a map":            {snippet(http, `map "" $b { default x; } map "" $c { default $b; }`), "map variable $b inside a map"},
		"option of more":          {snippet(location, `more_set_input_headers -r "A: b";`), `"-r" is not`},
		"star inside a name":      {snippet(location, `more_clear_input_headers "A b*";`), "neither a header name"},
		"no semicolon":            {snippet(location, `more_clear_input_headers "A"`), "ends in the middle"},
		"open quote":              {snippet(location, `more_clear_input_headers "A;`), "quoted string"},
		"closing brace":           {snippet(location, `}`), "unexpected }"},
		"server snippet":          {snippet("http_server_configuration_snippet", "more_clear_input_headers A;"), `nginx_config.http_server_configuration_snippet: line 1: ["more_clear_input_headers" "A"]: the stand-in does not play this`},
		"main snippet":            {snippet("main_configuration_snippet", "env A;"), "nginx_config.main_configuration_snippet"},
		"unknown nginx_config":    {"nginx_config: {http_snippet: a}\n", `nginx_config.http_snippet: unknown field`},
		"dollar without a name":   {snippet(location, `more_set_input_headers "A: $ b";`), "no variable name after $"},
		"set without a name":      {snippet(location, `more_set_input_headers "value";`), `is not "Name: value"`},
		"proxy_set_header *":      {snippet(location, `proxy_set_header X-* "";`), `only proxy_set_header NAME ""`},
		"map without a variable":  {snippet(http, `map "" b { default c; }`), "is not a variable"},
		"number for a snippet":    {"nginx_config: {" + location + ": 5}\n", "want a string, got integer"},
		"semicolon without words": {snippet(location, ";"), "unexpected ;"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(Options{APISIX: []byte(goodRoute + "#END"), Config: []byte(tc.file), Names: [2]string{"my.yaml", "its.yaml"}})
			wantConfigError(t, err, tc.want, "its.yaml")
		})
	}
}

func TestARouteWithAPluginNeedsASocket(t *testing.T) {
	_, err := New(Options{APISIX: []byte(goodRoute + "    plugins: {ext-plugin-pre-req: {conf: [{name: a, value: b}]}}\n#END")})
	wantConfigError(t, err, "ext-plugin.path_for_test is missing", "r1", "config.yaml")
}

func TestAPISIXsOwnKeysAreIgnoredByName(t *testing.T) {
	s, err := loadConfig("config.yaml", []byte(`
apisix: {node_listen: [9080], enable_admin: false}
deployment: {role: data_plane, role_data_plane: {config_provider: yaml}}
plugins: [ext-plugin-pre-req]
ext-plugin: {path_for_test: /run/a.sock, cmd: [a, b]}
nginx_config:
  worker_processes: 2
  http: {access_log_format: '$http_x_packet_size'}
`))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"apisix", "deployment", "plugins", "ext-plugin.cmd", "nginx_config.http", "nginx_config.worker_processes"}
	if s.socket != "/run/a.sock" || !slices.Equal(s.ignored, want) {
		t.Errorf("socket %q, ignored %q", s.socket, s.ignored)
	}
}

func TestWorkersAreBounded(t *testing.T) {
	for _, n := range []int{-1, 1025} {
		if _, err := New(Options{APISIX: []byte(goodRoute + "#END"), Workers: n}); !errors.Is(err, errWorkers) {
			t.Errorf("%d workers: %v", n, err)
		}
	}
}

func TestRoutesMatchExactBeforeLongestPrefix(t *testing.T) {
	routes := []*route{
		{id: "all", uris: []string{"/*"}},
		{id: "prefix", uris: []string{"/api/*"}},
		{id: "exact", uris: []string{"/other", "/api/v1"}},
		{id: "post", uris: []string{"/api/v1"}, methods: []string{"POST"}},
		{id: "longer", uris: []string{"/api/v1*"}},
	}
	for _, tc := range []struct{ path, method, want string }{
		{"/x", "GET", "all"},
		{"/api/", "GET", "prefix"},
		{"/api", "GET", "all"},
		{"/api/v1", "GET", "exact"},
		{"/api/v1", "POST", "exact"}, // the order of the file, where both are exact
		{"/api/v12", "GET", "longer"},
	} {
		if got := match(routes, tc.path, tc.method); got == nil || got.id != tc.want {
			t.Errorf("%s %s: %+v, want %s", tc.method, tc.path, got, tc.want)
		}
	}
	if got := match(routes[3:4], "/api/v1", "GET"); got != nil {
		t.Errorf("a route of another method matched")
	}
}

func TestPathsAreNormalizedAsNginxDoes(t *testing.T) {
	for _, tc := range []struct{ raw, want string }{
		{"/", "/"},
		{"/a//b///c", "/a/b/c"},
		{"/a/./b/../c", "/a/c"},
		{"/a/b/..", "/a/"},
		{"/a/.", "/a/"},
		{"/a/..", "/"},
		{"/%41%2e%2E", "/A.."},
		{"/a%20b", "/a b"},
		{"/a/%2e%2e/b", "/b"},
		{"/a#frag", "/a"},
		{"/..a", "/..a"},
	} {
		if got, err := normalizePath(tc.raw); err != nil || got != tc.want {
			t.Errorf("%q: %q, %v, want %q", tc.raw, got, err, tc.want)
		}
	}
	for _, raw := range []string{"/..", "/a/../..", "/%zz", "/%2", "/a%00b"} {
		if got, err := normalizePath(raw); err == nil {
			t.Errorf("%q: %q, want an error", raw, got)
		}
	}
}

func FuzzNormalizePath(f *testing.F) {
	for _, seed := range []string{"/", "/a/../b", "/%2e%2e/", "/a//%2F", "/..%2f"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		path, err := normalizePath(raw)
		if err != nil {
			if path != "" {
				t.Errorf("%q: both %q and %v", raw, path, err)
			}
			return
		}
		if strings.Contains(path, "//") || strings.Contains(path+"/", "/../") || strings.Contains(path+"/", "/./") {
			t.Errorf("%q: %q is not normal", raw, path)
		}
		if again, err := normalizePath(escapePath(path)); err != nil || again != path {
			t.Errorf("%q: %q, and again %q, %v", raw, path, again, err)
		}
	})
}

func TestArgumentsAreReadAsNgxLuaDoes(t *testing.T) {
	args := parseArgs("a=1&b=2&a=3&flag&e=&=x&&c=%20%ff+%zz")
	want := []string{"a=1", "a=3", "b=2", "flag", "e=", "c= \xff %zz"}
	if got := entryTexts(args.entries()); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func FuzzParseHead(f *testing.F) {
	f.Add("GET / HTTP/1.1\r\nHost: a\r\nX-Packet-Size: 1\r\n\r\n")
	f.Add("GET / HTTP/1.1\nA:b\n\n")
	f.Fuzz(func(t *testing.T, raw string) {
		n := headLength([]byte(raw))
		if n == 0 {
			return
		}
		list, err := parseHead([]byte(raw[:n]))
		if err != nil {
			if list != nil {
				t.Errorf("%q: both %v and %v", raw, list, err)
			}
			return
		}
		for _, h := range list {
			if !validName(h.name) || strings.ContainsAny(h.value, "\n") {
				t.Errorf("%q: line %q", raw, h)
			}
		}
	})
}
