package thirdparties

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"fivetuple/conf"
)

// nginxModules are the modules that APISIX is made of, in the order in which nginx loads them.
var nginxModules = []string{"ndk_http_module.so", "ngx_http_lua_module.so", "ngx_http_headers_more_filter_module.so"}

const nginxModulesDir = "/usr/lib/nginx/modules"

// nginxHead is the beginning of a nginx.conf around the shipped snippets and the functions of the shipped global rule. %[1]s are
// the modules, %[2]s the http snippet, %[3]s the address, %[4]s and %[5]s the functions of the phases access and header_filter.
const nginxHead = `%[1]s
daemon off; master_process off; pid nginx.pid; error_log error.log warn;
events {}
http {
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    lua_package_path '/usr/share/lua/5.1/?.lua;;';
    init_by_lua_block {
        -- The functions are loaded and called as APISIX's serverless plugins do it.
        local function load(functions)
            local list = {}
            for i, text in ipairs(functions) do list[i] = assert(loadstring(text))() end
            return function() for _, f in ipairs(list) do f() end end
        end
        access_rule = load({ %[4]s })
        header_filter_rule = load({ %[5]s })

        -- send posts to a server all headers that Lua sees, as ai-proxy does.
        function send(host, port, headers, body)
            local sock = ngx.socket.tcp()
            sock:settimeout(5000)
            assert(sock:connect(host, port))
            local lines = { "POST /sent HTTP/1.1", "Host: " .. host, "Connection: close", "Content-Length: " .. #body }
            for name, value in pairs(headers) do
                if name ~= "host" and name ~= "content-length" and name ~= "connection" then
                    for _, v in ipairs(type(value) == "table" and value or { value }) do lines[#lines + 1] = name .. ": " .. v end
                end
            end
            assert(sock:send(table.concat(lines, "\r\n") .. "\r\n\r\n" .. body))
            local status = assert(sock:receive("*l"))
            sock:close()
            return status
        end
    }
    %[2]s
    server {
        listen %[3]s;
`

// nginxRoute is one kind of route as nginx plays it: what Lua does in the access phase behind the global rule's function,
// and the location's other directives.
type nginxRoute struct {
	kind       route
	before     string // Lua before the function
	access     string // Lua behind it
	directives string
	locations  string // further ones
}

func (p *parties) nginxRoutes() []nginxRoute {
	pass := "proxy_http_version 1.1; proxy_set_header Host $http_host; proxy_pass http://" + p.upstream.address + ";"
	split := func(to *party) string { return strings.Replace(to.address, ":", "', ", 1) }
	return []nginxRoute{
		{kind: route{"plain", http.StatusOK, []*party{p.upstream}}, directives: pass},
		{
			kind: route{"mirror", http.StatusOK, []*party{p.upstream, p.mirror}}, directives: pass + " mirror /proxy_mirror;",
			locations: "location = /proxy_mirror { internal; proxy_http_version 1.1; proxy_set_header Host $http_host; proxy_pass http://" + p.mirror.address + "$request_uri; }",
		},
		{ // before access_by_lua, and so before the function: its location has to remove the header itself
			kind: route{"auth-request", http.StatusOK, []*party{p.auth, p.upstream}}, directives: pass + " auth_request /auth-by-nginx;",
			locations: "location = /auth-by-nginx { internal; proxy_pass_request_body off; proxy_set_header Content-Length '';" +
				` proxy_set_header X-Packet-Tuple ""; proxy_pass http://` + p.auth.address + "; }",
		},
		{ // behind access_by_lua, as forward-auth runs behind the global rule
			kind:   route{"forward-auth", http.StatusOK, []*party{p.auth, p.upstream}},
			access: "return ngx.exec('@auth')",
			locations: "location @auth { auth_request /auth; " + pass + " }\n" +
				"location = /auth { internal; proxy_pass_request_body off; proxy_set_header Content-Length ''; proxy_pass http://" + p.auth.address + "; }",
		},
		{
			kind:       route{"ai-proxy", http.StatusOK, []*party{p.provider}},
			directives: "content_by_lua_block { ngx.req.read_body() ngx.say(send('" + split(p.provider) + ", ngx.req.get_headers(), ngx.req.get_body_data())) }",
		},
		{
			kind: route{"http-logger", http.StatusOK, []*party{p.upstream, p.logger}}, directives: pass + logByLua(split(p.logger)),
		},
		{ // an authentication plugin of the rewrite phase refuses: the function in the access phase does not run
			kind:   route{"refused", http.StatusUnauthorized, []*party{p.logger}},
			before: "do return ngx.exit(401) end", directives: pass + logByLua(split(p.logger)),
		},
		{
			kind: route{"named", http.StatusOK, []*party{p.upstream, p.mirror}}, access: "return ngx.exec('@named')", directives: pass,
			locations: "location @named { " + pass + " proxy_buffering off; mirror /proxy_mirror; }",
		},
		{
			kind: route{"grpc", http.StatusOK, []*party{p.grpc}}, access: "return ngx.exec('@grpc')", directives: pass,
			locations: "location @grpc { grpc_set_header Content-Type application/grpc; grpc_set_header TE trailers; grpc_pass grpc://" + p.grpc.address + "; }",
		},
	}
}

func logByLua(to string) string {
	return " log_by_lua_block { local headers = ngx.req.get_headers() ngx.timer.at(0, function() send('" + to + ", headers, '{}') end) }"
}

// nginxConfig returns a nginx.conf with the shipped configuration; without the rule's functions if it is asked for.
func nginxConfig(t *testing.T, p *parties, address string, withRule bool) string {
	t.Helper()
	g, err := conf.APISIXGateway()
	if err != nil {
		t.Fatal(err)
	}
	var modules strings.Builder
	for _, name := range nginxModules {
		fmt.Fprintf(&modules, "load_module %s;\n", filepath.Join(nginxModulesDir, name))
	}
	access, headerFilter := "", ""
	if withRule {
		access, headerFilter = shippedFunctions(t, "access"), shippedFunctions(t, "header_filter")
	}
	var text strings.Builder
	fmt.Fprintf(&text, nginxHead, modules.String(), g.Nginx.HTTPSnippet, address, access, headerFilter)
	for _, r := range p.nginxRoutes() {
		// The runner reads the header, or the variable, before the function runs.
		fmt.Fprintf(&text, `
        location /%s/ {
            %s
            access_by_lua_block {
                ngx.ctx.tuple = ngx.req.get_headers(0)["x-packet-tuple"]
                %s
                access_rule()
                if ngx.ctx.tuple ~= ngx.var.packet_tuple then ngx.log(ngx.ERR, "header and variable differ") return ngx.exit(500) end
                %s
            }
            header_filter_by_lua_block { header_filter_rule() }
            %s
        }
        %s
`, r.kind.name, g.Nginx.LocationSnippet, r.before, r.access, r.directives, r.locations)
	}
	return text.String() + "    }\n}\n"
}

// shippedFunctions returns the functions of the shipped global rules in a phase, as a list of Lua strings.
func shippedFunctions(t *testing.T, phase string) string {
	t.Helper()
	file, err := conf.APISIXRoutes()
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, rule := range file.GlobalRules {
		for _, plugin := range []conf.ServerlessFunction{rule.Plugins.PreFunction, rule.Plugins.PostFunction} {
			for _, function := range plugin.Functions {
				if plugin.Phase == phase {
					list = append(list, "[==["+function+"]==]")
				}
			}
		}
	}
	return strings.Join(list, ", ")
}

// startNginx starts nginx and returns its address.
func startNginx(t *testing.T, p *parties, withRule bool) string {
	t.Helper()
	binary, err := exec.LookPath("nginx")
	if err != nil {
		skip(t, "nginx is not installed")
	}
	for _, name := range nginxModules {
		if _, err := os.Stat(filepath.Join(nginxModulesDir, name)); err != nil {
			skip(t, "a module of nginx is missing: install libnginx-mod-http-lua and libnginx-mod-http-headers-more-filter: "+err.Error())
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil { // for nginx, which does not take a listener
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(config, []byte(nginxConfig(t, p, address, withRule)), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "-p", dir, "-c", config)
	out := new(logBuffer)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
		if errors, err := os.ReadFile(filepath.Join(dir, "error.log")); err == nil && len(errors) > 0 && t.Failed() {
			t.Logf("nginx:\n%s", errors)
		}
	})
	deadline := time.Now().Add(testTimeout)
	for {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
			return address
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("nginx ended: %v: %s", err, out)
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("nginx is not ready: %s", out)
		}
	}
}

// TestNginxSendsNoTuple: the shipped snippets and functions in a real nginx.
func TestNginxSendsNoTuple(t *testing.T) {
	p := startParties(t)
	address := startNginx(t, p, true)
	for _, r := range p.nginxRoutes() {
		r.kind.wantNoTuple(t, address, p)
	}
}

// TestNginxWithoutTheRuleSendsTheTuple is the negative control, and holds the stand-in to what nginx does: the same kinds of
// route carry the tuple, with the same numbers of header lines.
func TestNginxWithoutTheRuleSendsTheTuple(t *testing.T) {
	p := startParties(t)
	address := startNginx(t, p, false)
	seen := junkWhere(func(n int) bool { return n <= lastSeen })
	want := map[string][]int{
		"plain: upstream": nil, "mirror: upstream": nil, "mirror: mirror": junkCounts(), "forward-auth: auth": junkCounts(), "forward-auth: upstream": junkCounts(),
		"auth-request: auth": nil, "auth-request: upstream": nil, "ai-proxy: model provider": seen, "http-logger: upstream": nil, "http-logger: logger": seen, "refused: logger": seen,
		"named: upstream": junkCounts(), "named: mirror": junkCounts(), "grpc: gRPC upstream": junkCounts(),
	}
	got := map[string][]int{}
	for _, r := range p.nginxRoutes() {
		for _, to := range r.kind.reach {
			got[r.kind.name+": "+to.name] = r.kind.leaks(t, address, to)
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("junk lines with which the tuple arrives (-want +got):\n%s", d)
	}
}
