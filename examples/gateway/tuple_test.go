package gateway

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// tupleSnippets is the snippet that the project ships, here as the stand-in reads it.
const tupleSnippets = `  http_server_location_configuration_snippet: |
    more_clear_input_headers "X-Packet-*" "X_Packet_*" "X-Packet_*" "X_Packet-*";
    more_set_input_headers "X-Packet-Tuple: $realip_remote_addr $realip_remote_port $server_addr $server_port $connection $connection_requests $request_length";
    proxy_set_header X-Packet-Tuple "";
  http_configuration_snippet: |
    map "" $packet_tuple { default "$realip_remote_addr $realip_remote_port $server_addr $server_port $connection $connection_requests $request_length"; }
`

func TestTheTupleHeaderReachesTheRunnerAndNotTheUpstream(t *testing.T) {
	s := newStand(t, standOptions{snippets: tupleSnippets})
	c := s.client()
	for n := 1; n <= 2; n++ {
		raw := get("/a")
		wantStatus(t, c.do(raw), http.StatusOK)
		want := fmt.Sprintf("127.0.0.1 40001 127.0.0.1 9080 1 %d %d", n, len(raw))
		if got := valuesOf(s.runner.calls(t)[n-1].Headers, "x-packet-tuple"); !slices.Equal(got, []string{want}) {
			t.Errorf("tuple %q, want %q", got, want)
		}
		sent, _ := s.upstream.last(t)
		noPacketHeaders(t, sent)
	}
}

func noPacketHeaders(t *testing.T, r *http.Request) {
	t.Helper()
	for name := range r.Header {
		if strings.HasPrefix(strings.ReplaceAll(strings.ToLower(name), "_", "-"), "x-packet-") {
			t.Errorf("%s reached the upstream: %q", name, r.Header[name])
		}
	}
}

func TestForgedPacketHeadersDoNotGetThrough(t *testing.T) {
	var junk []string
	for i := range 120 {
		junk = append(junk, fmt.Sprintf("X-Junk-%d: 1", i))
	}
	forged := []string{
		"X-Packet-Size: 1", "x-packet-size: 2", "X_Packet_Size: 3", "X-Packet_Size: 4", "X_packet-size: 5",
		"X-Packet-Tuple: 192.0.2.1 1 192.0.2.2 2 1 1 1", "X_PACKET_TUPLE: 6", "X-Packet-Tuple: again",
	}
	for name, lines := range map[string][]string{
		"plain": forged, "behind 120 others": append(slices.Clone(junk), forged...),
	} {
		for _, down := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, runner down %v", name, down), func(t *testing.T) {
				s := newStand(t, standOptions{snippets: tupleSnippets, degrade: true})
				if down {
					s.runner.stop()
				}
				wantStatus(t, s.client().do(get("/a", lines...)), http.StatusOK)
				sent, _ := s.upstream.last(t)
				noPacketHeaders(t, sent)
				if down {
					return
				}
				for _, line := range s.runner.calls(t)[0].Headers {
					key := strings.ReplaceAll(line, "_", "-")
					if strings.HasPrefix(key, "x-packet-") && !strings.HasPrefix(key, "x-packet-tuple=127.0.0.1 40001 ") {
						t.Errorf("the runner saw %q", line)
					}
				}
			})
		}
	}
}

func TestPluginsOwnPacketHeadersReachTheUpstream(t *testing.T) {
	s := newStand(t, standOptions{snippets: tupleSnippets, reply: withAction(func(seenCall) frame {
		return rewriteFrame(rewriteAction{headers: []entry{{"X-Packet-Size", "1480;packets=2", true}, {"X-Packet-Tuple", "", false}}})
	})})
	wantStatus(t, s.client().do(get("/a", "X-Packet-Size: forged")), http.StatusOK)
	sent, _ := s.upstream.last(t)
	if got := sent.Header["X-Packet-Size"]; !slices.Equal(got, []string{"1480;packets=2"}) {
		t.Errorf("x-packet-size %q", got)
	}
	access := <-s.accesses
	if access.Header.Get("X-Packet-Size") != "1480;packets=2" || access.Header.Get("X-Packet-Tuple") != "" {
		t.Errorf("access log's headers %v", access.Header)
	}
}

func TestTheTupleVariableHasAllSevenValues(t *testing.T) {
	s := newStand(t, standOptions{
		snippets: tupleSnippets,
		reply:    askThen(askVariable("packet_tuple"), frame{kind: frameHTTPReqCall, payload: encodeAction(nil, nil)}),
	})
	raw := get("/a")
	wantStatus(t, s.client().do(raw), http.StatusOK)
	frames := s.runner.seen()
	want := fmt.Sprintf("127.0.0.1 40001 127.0.0.1 9080 1 1 %d", len(raw))
	if got, ok := decodeResult(frames[len(frames)-1].payload); !ok || got != want {
		t.Errorf("packet_tuple %q, want %q", got, want)
	}
}

func TestWithoutASnippetNothingIsSetOrCleared(t *testing.T) {
	s := newStand(t, standOptions{})
	wantStatus(t, s.client().do(get("/a", "X-Packet-Size: forged")), http.StatusOK)
	if got := valuesOf(s.runner.calls(t)[0].Headers, "x-packet-size"); !slices.Equal(got, []string{"forged"}) {
		t.Errorf("the runner saw %q", got)
	}
	if got := valuesOf(s.runner.calls(t)[0].Headers, "x-packet-tuple"); got != nil {
		t.Errorf("a tuple from nowhere: %q", got)
	}
	if sent, _ := s.upstream.last(t); sent.Header.Get("X-Packet-Size") != "forged" {
		t.Error("the upstream did not get the header")
	}
}

func TestXRealIPFromATrustedAddressChangesRemoteAddrOnly(t *testing.T) {
	const ask = "remote_addr= $remote_addr remote_port= $remote_port realip= $realip_remote_addr $realip_remote_port"
	snippet := "  http_server_location_configuration_snippet: 'more_set_input_headers \"X-Ask: " + ask + "\";'\n"
	for _, tc := range []struct{ name, from, header, source, asked, realIP string }{
		{
			"trusted", "127.0.0.1:40001", "X-Real-IP: 203.0.113.9", "203.0.113.9",
			"remote_addr= 203.0.113.9 remote_port=  realip= 127.0.0.1 40001", "203.0.113.9",
		},
		{
			"trusted, with a port", "127.0.0.1:40001", "X-Real-IP: [2001:db8::1]:77", "2001:db8::1",
			"remote_addr= 2001:db8::1 remote_port= 77 realip= 127.0.0.1 40001", "2001:db8::1",
		},
		{
			"not trusted", "198.51.100.1:40001", "X-Real-IP: 203.0.113.9", "198.51.100.1",
			"remote_addr= 198.51.100.1 remote_port= 40001 realip= 198.51.100.1 40001", "198.51.100.1",
		},
		{
			"no address", "127.0.0.1:40001", "X-Real-IP: me", "127.0.0.1",
			"remote_addr= 127.0.0.1 remote_port= 40001 realip= 127.0.0.1 40001", "127.0.0.1",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newStand(t, standOptions{snippets: snippet})
			c := s.clientFrom(tc.from, "127.0.0.1:9080")
			wantStatus(t, c.do(get("/a", tc.header, "X-Forwarded-For: 192.0.2.7")), http.StatusOK)
			call := s.runner.calls(t)[0]
			if call.Source != tc.source {
				t.Errorf("src_ip %s, want %s", call.Source, tc.source)
			}
			if got := valuesOf(call.Headers, "x-ask"); !slices.Equal(got, []string{tc.asked}) {
				t.Errorf("variables %q, want %q", got, tc.asked)
			}
			sent, _ := s.upstream.last(t)
			if got := sent.Header.Get("X-Real-Ip"); got != tc.realIP {
				t.Errorf("X-Real-IP to the upstream %q, want %q", got, tc.realIP)
			}
			if got, want := sent.Header.Get("X-Forwarded-For"), "192.0.2.7, "+tc.realIP; got != want {
				t.Errorf("X-Forwarded-For %q, want %q", got, want)
			}
		})
	}
}
