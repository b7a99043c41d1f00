package gateway

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestFramesAreTheRecordedOnes sends the stand-in the requests that a real APISIX 3.18.0 was sent, has a
// runner replay the recorded answers, and compares every frame that the stand-in wrote with the recorded
// one, field by field, in the order of arrival.
//
// What is set beforehand, because it depends on what the real gateway had done before the recording: the
// version of the configuration, the counter of ids, the serial number of the connection, tokens it held.
//
// What is compared by its form, and why:
//   - the order of headers and arguments of different names: Lua walks a table in no order. The values of
//     one name are compared in order.
//
// What is left out, and why:
//   - post-resp*, both-req-and-resp: see TestRespCallsAreTheRecordedOnes.
//   - odd-header: a control character in a value; net/http refuses it with 400, nginx passes it on.
//   - big-*: heads above nginx's default limits, which the recorded gateway had raised by a directive that
//     the stand-in does not play; big-100k-default-nginx, with the limits as they are, is in
//     TestAHeadIsBounded.
//   - var-concurrent: six calls at once, whose frames arrive in any order.
func TestFramesAreTheRecordedOnes(t *testing.T) {
	for _, tc := range []recordedCase{
		{name: "get-keepalive"},
		{name: "post-2k-body"},
		{name: "body-100k"},
		{name: "body-400k"},
		{name: "body-2m"},
		{name: "empty-body-post"},
		{name: "var4"},
		{name: "ipv6", server: "[::1]:9080"},
		{name: "var1-tuple", connection: 704, snippets: holdoutMap},
		{name: "prefilled-header", connection: 66, snippets: holdoutHeader, drop: []string{"x-var-all"}},
		{name: "multi-header"},
		{name: "odd-header-noctl"},
		{name: "hdr-150-count", more: junkHeaders(97, 150)},
		{name: "head"},
		{name: "post-req"},
		{name: "stop-403"},
		{name: "stop-403-nobody"},
		{name: "rewrite-headers"},
		{name: "xrealip-spoof"},
		{name: "unknown-token"},
		{name: "token-confusion-1worker"},
		{name: "restart-inflight"},
		{name: "runner-panic"},
		{name: "h2c", http2: true},
		{name: "h2-tls", http2: true, server: "127.0.0.1:9443", tls: true},
	} {
		t.Run(tc.name, func(t *testing.T) { tc.run(t) })
	}
}

type recordedCase struct {
	name       string
	server     string // the gateway's address; empty: 127.0.0.1:9080
	connection uint64 // the serial number that the client's connection had, where a frame shows it
	snippets   string
	drop       []string // headers in the frames that the gateway had added
	more       []string // header lines of the client that are in no frame
	http2, tls bool
}

// What the recorded gateway's configuration had for these cases, under the names it had there.
const (
	holdoutTuple  = "$realip_remote_addr $realip_remote_port $server_addr $server_port $connection $connection_requests"
	holdoutMap    = "  http_configuration_snippet: 'map \"\" $holdout_x { default \"" + holdoutTuple + "\"; }'\n"
	holdoutHeader = "  http_server_location_configuration_snippet: 'more_set_input_headers \"X-Var-All: " + holdoutTuple + "\";'\n"
)

func junkHeaders(from, to int) []string {
	var lines []string
	for i := from; i < to; i++ {
		lines = append(lines, fmt.Sprintf("x-big-%03d: vvvvvvvvvv", i))
	}
	return lines
}

// recording is the frames of one case.
type recording struct {
	toRunner, toGateway []frame
	client              string
}

func (tc recordedCase) run(t *testing.T) {
	t.Helper()
	rec := readRecording(t, tc.name)
	plan := tc.plan(t, rec)
	o := standOptions{routes: plan.routes, snippets: tc.snippets, reply: replay(rec.toGateway)}
	if tc.tls {
		o.tls = serverTLS(t)
	}
	s := newStand(t, o)
	s.version = plan.version
	if tc.connection > 0 {
		s.connections.Store(tc.connection - 1)
	}
	s.workers[0].calls.Store(plan.firstID)
	for key, token := range plan.tokens {
		s.dict.set("route#"+key+"#"+plan.version, token, s.clock.now())
	}
	statuses := tc.send(t, s, plan)
	if want := recordedStatuses(rec.client); want != nil && !slices.Equal(statuses, want) {
		t.Errorf("the client got %d, recorded were %d", statuses, want)
	}
	compareFrames(t, s.runner.seen(), rec.toRunner)
}

// replay answers every frame with the next recorded one, and hangs up when there is none.
func replay(recorded []frame) replyFunc {
	var mu sync.Mutex
	next := 0
	return func(frame) ([]frame, bool) {
		mu.Lock()
		defer mu.Unlock()
		if next == len(recorded) {
			return nil, true
		}
		next++
		return recorded[next-1 : next], false
	}
}

// plan is what has to be set up and sent so that the recorded frames come about.
type plan struct {
	version  string
	firstID  uint32
	tokens   map[string]uint32 // route#phase -> token held before the recording
	routes   string
	requests []plannedRequest
	client   string // address of the client
}

type plannedRequest struct {
	call seenCall
	body string
}

// plan reads from the frames what the client sent and how the routes were.
func (tc recordedCase) plan(t *testing.T, rec recording) plan {
	t.Helper()
	p := plan{version: "1", tokens: make(map[string]uint32), client: clientOf(rec)}
	routes := make(map[string]string) // by path
	var key string
	var conf []entry
	first := true
	for i, f := range rec.toRunner {
		switch f.kind {
		case framePrepareConf:
			var texts []string
			key, texts = decodeConf(f.payload)
			conf = conf[:0]
			for _, text := range texts {
				name, value, _ := strings.Cut(text, "=")
				conf = append(conf, entry{name: name, value: value})
			}
		case frameHTTPReqCall:
			call := decodeCall(t, f.payload)
			if first {
				p.firstID, first = call.ID, false
			}
			if key == "" && routes[call.Path] == "" { // prepared before the recording
				id := fmt.Sprintf("held%d", len(routes))
				p.tokens[id+"#ext-plugin-pre-req"] = call.Token
				routes[call.Path] = routeText(id, call.Path, "ext-plugin-pre-req", []entry{{name: "noop"}})
			}
			if key != "" {
				part := strings.Split(key, "#") // route#ID#PHASE#VERSION
				routes[call.Path] = routeText(part[1], call.Path, part[2], conf)
				p.version = part[3]
				p.rename(part, call.Path)
			}
			key = ""
			p.add(rec, i, call)
		default: // questions and errors name no route
		}
	}
	paths := make([]string, 0, len(routes))
	for path := range routes {
		paths = append(paths, path)
	}
	sort.Strings(paths)
	p.routes = "routes:\n"
	for _, path := range paths {
		p.routes += routes[path]
	}
	return p
}

// rename gives a token that was held before the recording to the route's name, which a later PrepareConf
// tells.
func (p *plan) rename(part []string, path string) {
	for key, token := range p.tokens {
		for _, request := range p.requests {
			if request.call.Path == path && request.call.Token == token {
				delete(p.tokens, key)
				p.tokens[part[1]+"#"+part[2]] = token
			}
		}
	}
}

// add plans a request for a call, unless the call is the gateway's second try of one.
func (p *plan) add(rec recording, i int, call seenCall) {
	tries := 0
	for _, f := range rec.toGateway {
		if f.kind == frameError {
			tries++
		}
	}
	if tries > 0 && i > 0 && rec.toRunner[i-1].kind == framePrepareConf && len(p.requests) > 1 {
		return
	}
	body := ""
	if i+1 < len(rec.toRunner) && rec.toRunner[i+1].kind == frameExtraInfo && call.Method == http.MethodPost {
		body, _ = decodeResult(rec.toRunner[i+1].payload)
	}
	p.requests = append(p.requests, plannedRequest{call: call, body: body})
}

func routeText(id, path, ph string, conf []entry) string {
	var b strings.Builder
	fmt.Fprintf(&b, "  - id: %s\n    uri: %s\n    upstream: {type: roundrobin, nodes: {\"UPSTREAM\": 1}}\n    plugins:\n      %s:\n        conf:\n", id, path, ph)
	for _, c := range conf {
		fmt.Fprintf(&b, "          - {name: %s, value: %q}\n", c.name, c.value)
	}
	return b.String()
}

// clientOf finds the client's address: its port is in the client's own notes or in the answer to a
// question; where neither is there no frame shows it.
func clientOf(rec recording) string {
	host, port := "127.0.0.1", "40001"
	if m := regexp.MustCompile(`client port (\d+)`).FindStringSubmatch(rec.client); m != nil {
		port = m[1]
	}
	results := 0
	for _, f := range rec.toRunner {
		if f.kind != frameExtraInfo {
			continue
		}
		result, _ := decodeResult(f.payload)
		if results++; results == 1 && result == "::1" {
			host = "::1"
		}
		if n, err := strconv.Atoi(result); err == nil && results == 2 && n > 1024 {
			port = result
		}
	}
	if host == "::1" {
		return "[::1]:" + port
	}
	return host + ":" + port
}

func (tc recordedCase) send(t *testing.T, s *stand, p plan) []int {
	t.Helper()
	server := tc.server
	if server == "" {
		server = "127.0.0.1:9080"
	}
	if tc.http2 {
		return tc.sendHTTP2(t, s, p, server)
	}
	c := s.clientFrom(p.client, server)
	var statuses []int
	for _, request := range p.requests {
		c.send(tc.raw(request))
		got := c.read(request.call.Method)
		for got.status == http.StatusContinue {
			got = c.read(request.call.Method)
		}
		statuses = append(statuses, got.status)
	}
	return statuses
}

// raw writes the request that the client must have sent.
func (tc recordedCase) raw(r plannedRequest) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", r.call.Method, target(r.call))
	headers := tc.clientHeaders(r.call)
	sort.SliceStable(headers, func(i, k int) bool { // curl's order: Host first, the hundredth header depends on it
		return headerRank(headers[i]) < headerRank(headers[k])
	})
	for _, line := range headers {
		name, value, _ := strings.Cut(line, "=")
		fmt.Fprintf(&b, "%s: %s\r\n", name, value)
	}
	for _, line := range tc.more {
		b.WriteString(line + "\r\n")
	}
	return b.String() + "\r\n" + r.body
}

func headerRank(line string) string {
	name, _, _ := strings.Cut(line, "=")
	for i, early := range []string{"host", "user-agent", "accept"} {
		if name == early {
			return fmt.Sprint(i)
		}
	}
	if strings.HasPrefix(name, "x-big-") {
		return "3" + name
	}
	return "3"
}

func (tc recordedCase) clientHeaders(call seenCall) []string {
	return slices.DeleteFunc(slices.Clone(call.Headers), func(line string) bool {
		name, _, _ := strings.Cut(line, "=")
		return slices.Contains(append([]string{"x-forwarded-proto", "x-forwarded-host", "x-forwarded-port"}, tc.drop...), name)
	})
}

func target(call seenCall) string {
	var parts []string
	for _, arg := range call.Args {
		name, value, hasValue := strings.Cut(arg, "=")
		if hasValue {
			name = escapeArg(name) + "=" + escapeArg(value)
		}
		parts = append(parts, name)
	}
	if parts == nil {
		return call.Path
	}
	return call.Path + "?" + strings.Join(parts, "&")
}

func (tc recordedCase) sendHTTP2(t *testing.T, s *stand, p plan, server string) []int {
	t.Helper()
	client := http2Client(s, tc.tls)
	transport := client.Transport.(*http.Transport)
	transport.DialContext = func(context.Context, string, string) (net.Conn, error) { return s.listener.dial(p.client, server) }
	transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12} //nolint:gosec // the test's own server
	scheme := map[bool]string{false: "http", true: "https"}[tc.tls]
	var statuses []int
	for _, planned := range p.requests {
		req, err := http.NewRequestWithContext(t.Context(), planned.call.Method, scheme+"://"+valuesOf(planned.call.Headers, "host")[0]+target(planned.call), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range tc.clientHeaders(planned.call) {
			name, value, _ := strings.Cut(line, "=")
			if name != "host" {
				req.Header.Add(name, value)
			}
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		statuses = append(statuses, resp.StatusCode)
	}
	return statuses
}

// recordedStatuses are the answers in the client's notes.
func recordedStatuses(notes string) []int {
	var statuses []int
	for _, m := range regexp.MustCompile(`(?m)^(?:HTTP/[12](?:\.1)? )?(\d{3})(?: [A-Za-z ]*)?\r?$|HTTP/1.1 (\d{3}) `).FindAllStringSubmatch(notes, -1) {
		n, err := strconv.Atoi(m[1] + m[2])
		if err == nil && n >= 200 {
			statuses = append(statuses, n)
		}
	}
	return statuses
}

func compareFrames(t *testing.T, got, want []frame) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d frames, recorded were %d", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if diff := cmp.Diff(describe(t, want[i]), describe(t, got[i])); diff != "" {
			t.Errorf("frame %d (-recorded +ours):\n%s", i, diff)
		}
	}
}

// describe decodes every field of a frame; names in alphabetical order, values of one name in theirs.
func describe(t *testing.T, f frame) any {
	t.Helper()
	byName := func(texts []string) []string {
		sort.SliceStable(texts, func(i, k int) bool {
			a, _, _ := strings.Cut(texts[i], "=")
			b, _, _ := strings.Cut(texts[k], "=")
			return a < b
		})
		return texts
	}
	switch f.kind {
	case framePrepareConf:
		key, conf := decodeConf(f.payload)
		return []any{"PrepareConf", key, conf}
	case frameHTTPReqCall:
		call := decodeCall(t, f.payload)
		call.Args, call.Headers = byName(call.Args), byName(call.Headers)
		return call
	default:
		result, set := decodeResult(f.payload)
		return []any{"ExtraInfo", result, set}
	}
}

func readRecording(t *testing.T, name string) recording {
	t.Helper()
	dir := os.Getenv("FIVETUPLE_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared")
	}
	dir = filepath.Join(dir, "wire")
	if _, err := os.Stat(dir); err != nil {
		skip(t, "no recordings of a real APISIX: set FIVETUPLE_SHARED to the folder that has wire/ in it: "+err.Error())
	}
	notes, err := os.ReadFile(filepath.Join(dir, name+".client.txt"))
	if err != nil {
		t.Fatal(err)
	}
	return recording{
		toRunner:  readFrames(t, filepath.Join(dir, name+".a2r.bin")),
		toGateway: readFrames(t, filepath.Join(dir, name+".r2a.bin")),
		client:    string(notes),
	}
}

func readFrames(t *testing.T, path string) []frame {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var frames []frame
	for len(raw) > 0 {
		head := binary.BigEndian.Uint32(raw)
		n := int(head & maxFramePayload)
		frames = append(frames, frame{kind: frameType(head >> 24), payload: raw[4 : 4+n]})
		raw = raw[4+n:]
	}
	return frames
}
