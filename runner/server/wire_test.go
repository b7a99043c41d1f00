package server

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	apierr "github.com/api7/ext-plugin-proto/go/A6/Err"
	hreq "github.com/api7/ext-plugin-proto/go/A6/HTTPReqCall"
	hresp "github.com/api7/ext-plugin-proto/go/A6/HTTPRespCall"
	"github.com/google/go-cmp/cmp"
)

// event is a line of a recording.
type event struct {
	Conn    int    `json:"conn"`
	Dir     string `json:"dir"`
	Ev      string `json:"ev"`
	Type    byte   `json:"type"`
	Name    string `json:"name"`
	Len     int    `json:"len"`
	Off     int    `json:"off"`
	payload []byte
}

// recordings returns the names of all recordings, without ending.
func recordings(t testing.TB) []string {
	t.Helper()
	root := os.Getenv("FIVETUPLE_SHARED")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared")
	}
	found, err := filepath.Glob(filepath.Join(root, "wire", "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		skip(t, "no recordings of a real APISIX: set FIVETUPLE_SHARED to the folder that has wire/ in it")
	}
	for i := range found {
		found[i] = found[i][:len(found[i])-len(".jsonl")]
	}
	return found
}

// readRecording returns a recording's events with their frames.
func readRecording(t testing.TB, name string) []event {
	t.Helper()
	lines, err := os.Open(name + ".jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lines.Close() }()
	bytesOf := map[string][]byte{}
	for _, dir := range []string{"a2r", "r2a"} {
		bytesOf[dir], _ = os.ReadFile(name + "." + dir + ".bin")
	}
	var events []event
	for in := bufio.NewScanner(lines); in.Scan(); {
		var e event
		if err := json.Unmarshal(in.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		if all := bytesOf[e.Dir]; e.Ev == "frame" && e.Off+frameHeader+e.Len <= len(all) {
			e.payload = all[e.Off+frameHeader : e.Off+frameHeader+e.Len]
		}
		events = append(events, e)
	}
	return events
}

// TestFramesOfAStreamAreTheRecordedOnes reads every recorded byte stream as a connection's.
func TestFramesOfAStreamAreTheRecordedOnes(t *testing.T) {
	for _, name := range recordings(t) {
		for _, dir := range []string{"a2r", "r2a"} {
			all, err := os.ReadFile(name + "." + dir + ".bin")
			if err != nil {
				continue // nothing was sent in this direction
			}
			in := bytes.NewReader(all)
			var buffer []byte
			for in.Len() > 0 {
				var k kind
				if k, buffer, err = readFrame(in, buffer); err != nil || k > kindHTTPRespCall {
					t.Fatalf("%s.%s: %v, %v, %d bytes left", filepath.Base(name), dir, k, err, in.Len())
				}
			}
		}
	}
}

// TestEveryRecordedFrameIsDecoded with what its fields say, read once more by the generated accessors.
func TestEveryRecordedFrameIsDecoded(t *testing.T) {
	n := 0
	for _, name := range recordings(t) {
		for _, e := range readRecording(t, name) {
			if e.payload == nil {
				continue
			}
			n++
			if err := checkDecoded(e); err != nil {
				t.Errorf("%s at %d: %v", filepath.Base(name), e.Off, err)
			}
		}
	}
	if n < 200 {
		t.Errorf("%d frames are recorded", n)
	}
}

func checkDecoded(e event) error {
	switch k := kind(e.Type); {
	case e.Dir == "r2a" && k == kindExtraInfo:
		if questionName(e.payload) == "" {
			return fmt.Errorf("a question of nothing")
		}
		return nil
	case e.Dir == "r2a":
		_, err := decodeReply(k, e.payload)
		return err
	case k == kindPrepareConf:
		p, err := decodePrepareConf(e.payload)
		if err == nil && (len(p.key) == 0 || len(p.conf) == 0) {
			err = fmt.Errorf("empty: %q", p)
		}
		return err
	case k == kindExtraInfo:
		_, err := decodeAnswer(e.payload)
		return err
	case k == kindHTTPRespCall:
		return checkResponse(e.payload)
	default:
		return checkRequest(e.payload)
	}
}

func checkRequest(payload []byte) error {
	var r request
	if err := r.decode(payload); err != nil {
		return err
	}
	want := hreq.GetRootAsReq(payload, 0)
	if r.id != want.Id() || r.token != want.ConfToken() || r.method != want.Method() || !bytes.Equal(r.path, want.Path()) ||
		len(r.srcIP) != 4 && len(r.srcIP) != 16 || len(r.header.raw) != want.HeadersLength() || len(r.rawArgs) != want.ArgsLength() {
		return fmt.Errorf("decoded as %+v", r)
	}
	return nil
}

func checkResponse(payload []byte) error {
	var r response
	if err := r.decode(payload); err != nil {
		return err
	}
	want := hresp.GetRootAsReq(payload, 0)
	if r.id != want.Id() || r.token != want.ConfToken() || r.status != int(want.Status()) || len(r.header.raw) != want.HeadersLength() {
		return fmt.Errorf("decoded as %+v", r)
	}
	return nil
}

// routeOf names the route that the recorded gateway had at a path.
var routeOf = map[string]string{
	"/w/noop": "wnoop", "/rq/json": "rq-json", "/probe-body": "probe-body", "/w/vars4": "wvars4", "/w/var1": "wvar1", "/probe": "probe",
	"/pre/pr-prio": "pre_pr_prio", "/probe-post": "probe-post", "/both": "both", "/slowprobe": "slowprobe", "/panic": "panic",
	"/stop": "stop", "/stopnobody": "stopnobody",
}

// replay sends a recording's calls to a server. A token is looked up by its route, as a gateway that is right does; the
// recorded one was at times another route's.
type replay struct {
	t        *testing.T
	gateway  *gateway
	prepares map[string][]byte // the recorded PrepareConf of a route and phase
	events   []event
}

func newReplay(t *testing.T, path string) *replay {
	t.Helper()
	r := &replay{t: t, gateway: dial(t, path), prepares: map[string][]byte{}}
	for _, name := range recordings(t) {
		for _, e := range readRecording(t, name) {
			if e.Dir == "a2r" && kind(e.Type) == kindPrepareConf && e.payload != nil {
				p, _ := decodePrepareConf(e.payload)
				parts := strings.Split(string(p.key), "#")
				r.prepares[parts[1]+parts[2][len("ext-plugin-"):len("ext-plugin-post")]+parts[2][len(parts[2])-1:]] = e.payload
			}
		}
	}
	return r
}

// token prepares a route; phases are "pre-q" and so on, for the request's or the response's.
func (r *replay) token(route, phase string) uint32 {
	r.t.Helper()
	for _, when := range []string{"pre-", "post"} {
		if payload, ok := r.prepares[route+when+phase]; ok {
			return r.gateway.exchange(kindPrepareConf, payload).Token
		}
	}
	r.t.Fatalf("no PrepareConf of %s is recorded", route)
	return 0
}

// call replays the call at an event; recorded is what the recorded runner answered, nil if nothing.
func (r *replay) call(at int) (got reply, recorded *reply, err error) {
	e := r.events[at]
	payload := slices.Clone(e.payload)
	for _, later := range r.events[at+1:] {
		if later.Conn == e.Conn && later.Dir == "r2a" && later.Ev == "frame" && kind(later.Type) != kindExtraInfo {
			answer, err := decodeReply(kind(later.Type), later.payload)
			if err != nil {
				return got, nil, err
			}
			recorded = &answer
			break
		}
	}
	token := uint32(0xfffffff0)
	if recorded == nil || recorded.Kind != kindError {
		token = r.tokenOf(e)
	}
	if kind(e.Type) == kindHTTPReqCall {
		hreq.GetRootAsReq(payload, 0).MutateConfToken(token)
	} else {
		hresp.GetRootAsReq(payload, 0).MutateConfToken(token)
	}
	got, err = r.exchange(e.Conn, kind(e.Type), payload, r.events[at+1:])
	return got, recorded, err
}

func (r *replay) tokenOf(e event) uint32 {
	r.t.Helper()
	if kind(e.Type) == kindHTTPReqCall {
		return r.token(routeOf[string(hreq.GetRootAsReq(e.payload, 0).Path())], "q")
	}
	for _, before := range r.events { // a HTTPRespCall has no path
		if p, err := decodePrepareConf(before.payload); err == nil && before.Dir == "a2r" && kind(before.Type) == kindPrepareConf &&
			bytes.Contains(p.key, []byte("post-resp")) {
			return r.token(strings.Split(string(p.key), "#")[1], "p")
		}
	}
	r.t.Fatal("no PrepareConf of a response phase is recorded")
	return 0
}

// exchange sends a call, and answers its questions by the recorded answers; they must be the recorded questions.
func (r *replay) exchange(conn int, k kind, payload []byte, later []event) (reply, error) {
	later = slices.DeleteFunc(slices.Clone(later), func(e event) bool { return e.Conn != conn || kind(e.Type) != kindExtraInfo })
	if err := r.gateway.send(k, payload); err != nil {
		return reply{}, err
	}
	for {
		k, payload, err := r.gateway.receive()
		if err != nil {
			return reply{}, err
		}
		if k != kindExtraInfo {
			return decodeReply(k, payload)
		}
		if len(later) < 2 || questionName(payload) != questionName(later[0].payload) {
			return reply{}, fmt.Errorf("asked %s, which is not recorded", questionName(payload))
		}
		if err := r.gateway.send(kindExtraInfo, later[1].payload); err != nil {
			return reply{}, err
		}
		later = later[2:]
	}
}

// sameMeaning compares answers, except for the order of different fields and the recorded runner's process id.
var sameMeaning = cmp.Options{
	cmp.Transformer("meaning", func(all []pair) map[string][]string {
		fields := map[string][]string{}
		for _, p := range all {
			if p.Name != "X-Runner-Pid" {
				fields[p.Name] = append(fields[p.Name], fmt.Sprintf("%q,%t", p.Value, p.Deleted))
			}
		}
		return fields
	}),
}

// brokenInRecording are the calls, by recording and place, that v0.5.0 answered wrongly or not at all, and what is right.
var brokenInRecording = map[string]func(*testing.T, reply){
	"big-300k/0":     wantNothing,
	"body-400k/0":    wantBody(409600),
	"body-2m/0":      wantBody(2 << 20),
	"runner-panic/0": wantFailure,
	"restart-inflight/0": func(t *testing.T, r reply) {
		t.Helper()
		wantField(t, r, "X-Runner-Path", "/slowprobe")
	},
	"token-confusion-1worker/2": func(t *testing.T, r reply) {
		t.Helper()
		if r.Action != "stop" || r.Status != 403 || !strings.Contains(r.Body, "blocked") {
			t.Errorf("%+v", r)
		}
	},
}

func wantNothing(t *testing.T, r reply) {
	t.Helper()
	if r.Kind != kindHTTPReqCall || r.Action != "" {
		t.Errorf("%+v", r)
	}
}

func wantFailure(t *testing.T, r reply) {
	t.Helper()
	if r.Kind != kindError || r.Code != apierr.CodeSERVICE_UNAVAILABLE {
		t.Errorf("%+v", r)
	}
}

func wantField(t *testing.T, r reply, name, value string) {
	t.Helper()
	if got := values(r.Headers, name); len(got) != 1 || got[0] != value {
		t.Errorf("%s is %q, want %q", name, got, value)
	}
}

func wantBody(n int) func(*testing.T, reply) {
	return func(t *testing.T, r reply) {
		t.Helper()
		sum := sha256.Sum256(bytes.Repeat([]byte("a"), n))
		wantField(t, r, "X-Runner-Body", fmt.Sprintf("len=%d sha=%x err=<nil>", n, sum[:8]))
	}
}

// TestRecordedCallsAreAnsweredAsRecorded, over a socket of another process.
func TestRecordedCallsAreAnsweredAsRecorded(t *testing.T) {
	names := recordings(t)
	path := filepath.Join(socketDir(t), "ours")
	startChild(t, childOurs, path)
	r := newReplay(t, path)
	n, broken := 0, 0
	for _, name := range names {
		r.events = readRecording(t, name)
		calls := 0
		for i, e := range r.events {
			if e.Dir != "a2r" || e.payload == nil || kind(e.Type) != kindHTTPReqCall && kind(e.Type) != kindHTTPRespCall {
				continue
			}
			place := fmt.Sprintf("%s/%d", filepath.Base(name), calls)
			calls++
			n++
			if brokenInRecording[place] != nil {
				broken++
			}
			t.Run(place, func(t *testing.T) { r.compare(t, i, brokenInRecording[place]) })
		}
	}
	if n < 40 || broken != len(brokenInRecording) {
		t.Errorf("%d calls are recorded, %d of them broken", n, broken)
	}
}

func (r *replay) compare(t *testing.T, at int, right func(*testing.T, reply)) {
	t.Helper()
	got, recorded, err := r.call(at)
	switch {
	case err != nil:
		t.Fatal(err)
	case right != nil:
		right(t, got)
	case recorded == nil:
		t.Fatal("no answer is recorded")
	default:
		if diff := cmp.Diff(*recorded, got, sameMeaning); diff != "" {
			t.Error(diff)
		}
	}
}
