package gateway

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// third is a server besides the upstream; it keeps the last request.
type third struct {
	url    string
	got    chan *http.Request
	bodies chan string
}

func startThird(t *testing.T, answer http.HandlerFunc) *third {
	t.Helper()
	th := &third{got: make(chan *http.Request, 10), bodies: make(chan string, 10)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		th.got <- r
		th.bodies <- string(body)
		if answer != nil {
			answer(w, r)
		}
	}))
	t.Cleanup(server.Close)
	th.url = server.URL
	return th
}

// standWith is a stand-in whose only route has a plugin.
func standWith(t *testing.T, plugin string) *stand {
	t.Helper()
	return newStand(t, standOptions{routes: "routes:\n  - id: r1\n    uri: /*\n    upstream: {type: roundrobin, nodes: {\"UPSTREAM\": 1}}\n    plugins:\n      " + plugin + "\n"})
}

func post(path, body string, headers ...string) string {
	return strings.Replace(get(path, append(headers, fmt.Sprintf("Content-Length: %d", len(body)))...), "GET", "POST", 1) + body
}

func TestForwardAuthDecides(t *testing.T) {
	auth := startThird(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-User", "jack")
		if r.Header.Get("Authorization") != "yes" {
			http.Error(w, "who are you", http.StatusUnauthorized)
		}
	})
	s := standWith(t, "forward-auth: {uri: '"+auth.url+"/check', request_headers: [Authorization], upstream_headers: [X-User, X-Gone]}")
	c := s.client()
	refused := c.do(get("/a?b=c", "X-Other: 1"))
	if refused.status != http.StatusUnauthorized || refused.body != "who are you\n" || s.upstream.count() != 0 {
		t.Errorf("%+v, %d calls of the upstream", refused, s.upstream.count())
	}
	asked := <-auth.got
	for name, want := range map[string]string{
		"X-Forwarded-Method": "GET", "X-Forwarded-Uri": "/a?b=c", "X-Forwarded-Host": "test.example", "X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Other": "",
	} {
		if got := asked.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	wantStatus(t, c.do(get("/a", "Authorization: yes", "X-User: forged", "X-Gone: forged")), http.StatusOK)
	sent, _ := s.upstream.last(t)
	if sent.Header.Get("X-User") != "jack" || sent.Header.Get("X-Gone") != "" || sent.Header.Get("Authorization") != "yes" {
		t.Errorf("the upstream got %v", sent.Header)
	}
}

func TestForwardAuthIsRefusedWhenTheServiceIsDown(t *testing.T) {
	s := standWith(t, "forward-auth: {uri: 'http://127.0.0.1:1/'}")
	wantStatus(t, s.client().do(get("/a")), http.StatusForbidden)
}

// TestForwardAuthByPOSTReadsTheBody, which the upstream gets all the same.
func TestForwardAuthByPOSTReadsTheBody(t *testing.T) {
	auth := startThird(t, nil)
	s := standWith(t, "forward-auth: {uri: '"+auth.url+"', request_method: POST}")
	wantStatus(t, s.client().do(post("/a", "the body")), http.StatusOK)
	if body := <-auth.bodies; body != "the body" {
		t.Errorf("the service got %q", body)
	}
	if _, body := s.upstream.last(t); body != "the body" {
		t.Errorf("the upstream got %q", body)
	}
}

func TestAIProxySendsTheHeadersThatLuaSees(t *testing.T) {
	provider := startThird(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, `{"answer":1}`)
	})
	s := standWith(t, "ai-proxy: {provider: openai-compatible, auth: {header: {Authorization: Bearer key}}, override: {endpoint: '"+provider.url+"/v1/chat'}}")
	got := s.client().do(post("/a", `{"messages":[]}`, append(junkHeaders(0, 98), "Accept-Encoding: gzip", "X-Late: 1", "Authorization: the client's")...))
	if got.status != http.StatusAccepted || got.body != `{"answer":1}` || got.header.Get("Content-Type") != "application/json" || s.upstream.count() != 0 {
		t.Errorf("%+v, %d calls of the upstream", got, s.upstream.count())
	}
	sent := <-provider.got
	if sent.URL.Path != "/v1/chat" || <-provider.bodies != `{"messages":[]}` {
		t.Errorf("sent to %s", sent.URL)
	}
	for name, want := range map[string]string{"Authorization": "Bearer key", "Content-Type": "application/json", "Accept-Encoding": "", "X-Big-097": "vvvvvvvvvv", "X-Late": ""} {
		if value := sent.Header.Get(name); value != want {
			t.Errorf("%s is %q, want %q", name, value, want)
		}
	}
	wantStatus(t, s.client().do(post("/a", "not JSON")), http.StatusBadRequest)
}

func TestAzureFunctionsAnswerTheCall(t *testing.T) {
	function := startThird(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "from the function") })
	s := newStand(t, standOptions{routes: "routes: [{id: r1, uri: /*, plugins: {azure-functions: {function_uri: '" + function.url + "/f'}}}]\n"})
	if got := s.client().do(post("/a?b=c", "in", "X-A: 1")); got.status != http.StatusOK || got.body != "from the function" {
		t.Errorf("%+v", got)
	}
	if sent := <-function.got; sent.URL.String() != "/f?b=c" || sent.Header.Get("X-A") != "1" || <-function.bodies != "in" {
		t.Errorf("the function got %s %v", sent.URL, sent.Header)
	}
}

// TestMirrorGetsACopy: all headers and the body, and the call ends only when the mirror has answered.
func TestMirrorGetsACopy(t *testing.T) {
	mirror := startThird(t, nil)
	s := standWith(t, "proxy-mirror: {host: '"+mirror.url+"'}")
	wantStatus(t, s.client().do(post("/a?b=c", "in", junkHeaders(0, 120)...)), http.StatusOK)
	sent := <-mirror.got
	if sent.URL.String() != "/a?b=c" || sent.Host != "test.example" || sent.Header.Get("X-Big-119") == "" || sent.Header.Get("X-Real-Ip") != "" || <-mirror.bodies != "in" {
		t.Errorf("the mirror got %s %v", sent.URL, sent.Header)
	}
	if sent, body := s.upstream.last(t); body != "in" || sent.Header.Get("X-Real-Ip") == "" {
		t.Errorf("the upstream got %q, %v", body, sent.Header)
	}
}

func TestAMirrorThatIsDownIsNotNoticed(t *testing.T) {
	s := standWith(t, "proxy-mirror: {host: 'http://127.0.0.1:1'}")
	wantStatus(t, s.client().do(get("/a")), http.StatusOK)
}

func TestHTTPLoggerGetsTheRequestsHeaders(t *testing.T) {
	logger := startThird(t, nil)
	s := standWith(t, "http-logger: {uri: '"+logger.url+"'}")
	wantStatus(t, s.client().do(get("/a", "X-A: 1", "X-A: 2")), http.StatusOK)
	var lines []struct {
		Request struct {
			URI     string
			Headers map[string][]string
		}
		Response struct{ Status int }
	}
	if err := json.Unmarshal([]byte(<-logger.bodies), &lines); err != nil {
		t.Fatal(err)
	}
	if len(lines) != 1 || lines[0].Request.URI != "/a" || lines[0].Response.Status != 200 || !slices.Equal(lines[0].Request.Headers["x-a"], []string{"1", "2"}) {
		t.Errorf("%+v", lines)
	}
}

// TestANamedLocationLeavesTheSnippet: what proxy_set_header keeps from the upstream of the location / reaches this one.
func TestANamedLocationLeavesTheSnippet(t *testing.T) {
	for _, disable := range []bool{false, true} {
		s := newStand(t, standOptions{snippets: tupleSnippets, routes: fmt.Sprintf(`
routes: [{id: r1, uri: /*, upstream: {nodes: {"UPSTREAM": 1}}, plugins: {proxy-buffering: {disable_proxy_buffering: %v}}}]
`, disable)})
		wantStatus(t, s.client().do(get("/a")), http.StatusOK)
		if sent, _ := s.upstream.last(t); (sent.Header.Get("X-Packet-Tuple") != "") != disable || sent.Header.Get("X-Real-Ip") == "" {
			t.Errorf("disable_proxy_buffering %v: the upstream got %v", disable, sent.Header)
		}
	}
}

// TestAMapVariableIsWorkedOutOnce: when it is asked for first, as in nginx. The shipped snippet asks before a body is read.
func TestAMapVariableIsWorkedOutOnce(t *testing.T) {
	reply := withAction(func(seenCall) frame { return frame{kind: frameHTTPReqCall, payload: encodeAction(nil, nil)} })
	for _, early := range []bool{false, true} {
		snippets := "  http_configuration_snippet: 'map \"\" $head { default \"$request_length\"; }'\n"
		if early {
			snippets += "  http_server_location_configuration_snippet: 'more_set_input_headers \"X-Head: $head\";'\n"
		}
		asked := make(chan string, 1)
		s := newStand(t, standOptions{snippets: snippets, reply: func(f frame) ([]frame, bool) {
			switch f.kind {
			case frameHTTPReqCall:
				return []frame{askBody(), askVariable("head")}, false
			case frameExtraInfo:
				result, _ := decodeResult(f.payload)
				if result == "the body" {
					return nil, false
				}
				asked <- result
				return []frame{{kind: frameHTTPReqCall, payload: encodeAction(nil, nil)}}, false
			default:
				return reply(f)
			}
		}})
		raw := post("/a", "the body")
		wantStatus(t, s.client().do(raw), http.StatusOK)
		want := len(raw)
		if early {
			want -= len("the body")
		}
		if got := <-asked; got != fmt.Sprint(want) {
			t.Errorf("asked for early %v: the variable is %s, want %d", early, got, want)
		}
	}
}

func TestWrongPluginsAreRefused(t *testing.T) {
	for plugin, want := range map[string]string{
		"forward-auth: {uri: 'https://a'}":                               `forward-auth.uri: "https://a" is not http://HOST:PORT`,
		"forward-auth: {uri: 'http://a', request_method: PUT}":           "forward-auth.request_method: want GET or POST",
		"forward-auth: {uri: 'http://a', allow_degradation: true}":       `forward-auth.allow_degradation: unknown field`,
		"ai-proxy: {provider: gemini, override: {endpoint: 'http://a'}}": "ai-proxy.provider: the stand-in plays openai-compatible only",
		"ai-proxy: {provider: openai-compatible}":                        `ai-proxy.override.endpoint: "" is not http://HOST:PORT`,
		"azure-functions: {function_uri: a}":                             `azure-functions.function_uri: "a" is not`,
		"http-logger: {uri: '//a'}":                                      `http-logger.uri: "//a" is not`,
		"proxy-mirror: {host: 'http://a/b'}":                             `proxy-mirror.host: "http://a/b" is not`,
		"proxy-mirror: {host: 'http://a', sample_ratio: 0.5}":            `proxy-mirror.sample_ratio: unknown field`,
		"ext-plugin-post-resp: {conf: []}":                               "ext-plugin-post-resp.conf: wants at least one plugin",
		"proxy-buffering: {disable_proxy_buffering: 'yes'}":              "disable_proxy_buffering",
	} {
		_, err := New(Options{APISIX: []byte(goodRoute + "    plugins: {" + plugin + "}\n#END"), Names: [2]string{"my.yaml", "its.yaml"}})
		wantConfigError(t, err, want, "my.yaml")
	}
}
