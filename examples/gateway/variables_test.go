package gateway

import (
	"net/http"
	"regexp"
	"testing"
)

func TestVariablesKnownInPreReq(t *testing.T) {
	want := map[string]string{
		"realip_remote_addr": `127\.0\.0\.1`, "realip_remote_port": "40001", "remote_addr": `203\.0\.113\.9`, "remote_port": "",
		"server_addr": `127\.0\.0\.1`, "server_port": "9080", "server_protocol": `HTTP/1\.1`, "connection": "1",
		"connection_requests": "1", "connection_time": `0\.000`, "request_id": "[0-9a-f]{32}", "route_id": "r1",
		"request_length": `\d+`, "msec": `1795377683\.123`, "http2": "", "pid": `\d+`,
		"http_x_a": "1, 2", "arg_b": "7", "request_method": "GET", "request_uri": `/a\?b=7`, "uri": "/a", "args": "b=7",
		"scheme": "http", "host": "test.example",
	}
	unset := []string{"consumer_name", "service_id", "ssl_protocol", "tcpinfo_rtt", "packet_tuple", "nosuch", "upstream_addr", "http_nosuch", "arg_nosuch"}
	var names []string
	for name := range want {
		names = append(names, name)
	}
	names = append(names, unset...)
	pass := passOn()
	answers := 0
	s := newStand(t, standOptions{reply: func(f frame) ([]frame, bool) {
		switch f.kind {
		case frameHTTPReqCall:
			return []frame{askVariable(names[0])}, false
		case frameExtraInfo:
			if answers++; answers < len(names) {
				return []frame{askVariable(names[answers])}, false
			}
			return []frame{{kind: frameHTTPReqCall, payload: encodeAction(nil, nil)}}, false
		default:
			return pass(f)
		}
	}})
	wantStatus(t, s.client().do(get("/a?b=7", "X-Real-IP: 203.0.113.9", "X-A: 1", "X-A: 2")), http.StatusOK)
	i := 0
	for _, f := range s.runner.seen() {
		if f.kind != frameExtraInfo {
			continue
		}
		got, set := decodeResult(f.payload)
		pattern, known := want[names[i]]
		if set != known || !regexp.MustCompile("^"+pattern+"$").MatchString(got) {
			t.Errorf("$%s is %q, set %v; want %q, set %v", names[i], got, set, pattern, known)
		}
		i++
	}
	if i != len(names) {
		t.Errorf("%d answers, want %d", i, len(names))
	}
}
