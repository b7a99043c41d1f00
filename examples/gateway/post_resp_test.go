package gateway

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/api7/ext-plugin-proto/go/A6/ExtraInfo"
	"github.com/api7/ext-plugin-proto/go/A6/HTTPRespCall"
	flatbuffers "github.com/google/flatbuffers/go"
	"github.com/google/go-cmp/cmp"
)

const postRespRoute = `
routes: [{id: r1, uri: /*, upstream: {type: roundrobin, nodes: {"UPSTREAM": 1}}, plugins: {ext-plugin-post-resp: {allow_degradation: %v, conf: [{name: a, value: ''}]}}}]
`

// seenRespCall is a decoded HTTPRespCall.
type seenRespCall struct {
	ID, Token uint32
	Status    uint16
	Headers   []string
}

func decodeSeenRespCall(payload []byte) seenRespCall {
	req := HTTPRespCall.GetRootAsReq(payload, 0)
	call := seenRespCall{ID: req.Id(), Token: req.ConfToken(), Status: req.Status(), Headers: entryTexts(readEntries(req.HeadersLength(), req.Headers))}
	slices.Sort(call.Headers) // Lua walks a table in no order
	return call
}

// respFrame is a runner's answer to a HTTPRespCall.
func respFrame(status int, body string, headers ...entry) frame {
	b := flatbuffers.NewBuilder(64)
	at, text := encodeEntries(b, headers, HTTPRespCall.RespStartHeadersVector), b.CreateString(body)
	HTTPRespCall.RespStart(b)
	HTTPRespCall.RespAddStatus(b, uint16(status))
	HTTPRespCall.RespAddHeaders(b, at)
	if body != "" {
		HTTPRespCall.RespAddBody(b, text)
	}
	b.Finish(HTTPRespCall.RespEnd(b))
	return frame{kind: frameRespCall, payload: b.FinishedBytes()}
}

// withResponse answers every HTTPRespCall with the same frame.
func withResponse(answer frame) replyFunc {
	return func(f frame) ([]frame, bool) {
		if f.kind == framePrepareConf {
			return []frame{tokenFrame(1)}, false
		}
		return []frame{answer}, false
	}
}

func originAnswer(w http.ResponseWriter, _ *http.Request) {
	w.Header()["Set-Cookie"] = []string{"a=1", "b=2"}
	w.Header().Set("Location", "/elsewhere")
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, "origin")
}

func TestPostRespShowsTheResponse(t *testing.T) {
	s := newStand(t, standOptions{routes: fmt.Sprintf(postRespRoute, false), upstream: originAnswer, reply: withResponse(respFrame(0, ""))})
	got := s.client().do(get("/a?b=c", "X-A: 1"))
	if got.status != http.StatusAccepted || got.body != "origin" || !slices.Equal(got.header["Set-Cookie"], []string{"a=1", "b=2"}) || got.header.Get("Location") != "" {
		t.Errorf("the client got %+v", got)
	}
	sent, _ := s.upstream.last(t)
	if sent.RequestURI != "/a?b=c" || sent.Host != "test.example" || sent.Header.Get("X-A") != "1" || sent.Header.Get("X-Forwarded-For") != "" || !sent.Close {
		t.Errorf("the upstream got %s %v", sent.RequestURI, sent.Header)
	}
	key, _ := decodeConf(s.runner.seen()[0].payload)
	call := decodeSeenRespCall(s.runner.seen()[1].payload)
	if !strings.HasPrefix(key, "route#r1#ext-plugin-post-resp#") || call.Status != http.StatusAccepted || !slices.Contains(call.Headers, "Set-Cookie=b=2") {
		t.Errorf("key %s, call %+v", key, call)
	}
}

// TestPostRespDropsTheOriginsHeaders as soon as the runner sends one.
func TestPostRespDropsTheOriginsHeaders(t *testing.T) {
	reply := withResponse(respFrame(http.StatusTeapot, "new", entry{"X-A", "1", true}, entry{"x-a", "2", true}))
	s := newStand(t, standOptions{routes: fmt.Sprintf(postRespRoute, false), upstream: originAnswer, reply: reply})
	got := s.client().do(get("/a"))
	if got.status != http.StatusTeapot || got.body != "new" || got.header["Set-Cookie"] != nil || !slices.Equal(got.header["X-A"], []string{"1", "2"}) {
		t.Errorf("the client got %+v", got)
	}
}

func TestPostRespAnswersQuestions(t *testing.T) {
	b := flatbuffers.NewBuilder(16)
	ExtraInfo.RespBodyStart(b)
	question := finishQuestion(b, ExtraInfo.RespBodyEnd(b), ExtraInfo.InfoRespBody)
	s := newStand(t, standOptions{routes: fmt.Sprintf(postRespRoute, false), upstream: originAnswer, reply: askThen(question, respFrame(0, ""))})
	wantStatus(t, s.client().do(get("/a")), http.StatusAccepted)
	frames := s.runner.seen()
	if got, ok := decodeResult(frames[len(frames)-1].payload); !ok || got != "origin" {
		t.Errorf("the body is %q", got)
	}
}

func TestPostRespWithoutARunner(t *testing.T) {
	for degrade, want := range map[bool]int{true: http.StatusAccepted, false: http.StatusServiceUnavailable} {
		s := newStand(t, standOptions{routes: fmt.Sprintf(postRespRoute, degrade), upstream: originAnswer})
		s.runner.stop()
		if got := s.client().do(get("/a")); got.status != want || got.body != "origin" || got.header["Set-Cookie"] != nil {
			t.Errorf("allow_degradation %v: the client got %+v", degrade, got)
		}
	}
}

// TestRespCallsAreTheRecordedOnes: encoded again, each recorded HTTPRespCall is the same, field by field.
func TestRespCallsAreTheRecordedOnes(t *testing.T) {
	calls := 0
	for _, name := range []string{"post-resp", "post-resp-header-only", "post-resp-nothing", "post-resp-gzip", "both-req-and-resp"} {
		for _, f := range readRecording(t, name).toRunner {
			if f.kind != frameRespCall {
				continue
			}
			calls++
			want := decodeSeenRespCall(f.payload)
			h := http.Header{}
			for _, line := range want.Headers {
				key, value, _ := strings.Cut(line, "=")
				h[key] = append(h[key], value)
			}
			ours := encodeRespCall(respCall{id: want.ID, token: want.Token, status: int(want.Status), headers: headerEntries(h)})
			if d := cmp.Diff(want, decodeSeenRespCall(ours)); d != "" {
				t.Errorf("%s (-recorded +ours):\n%s", name, d)
			}
		}
	}
	if calls < 5 {
		t.Errorf("%d calls are recorded", calls)
	}
}
