package plugins_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/dunglas/httpsfv"

	"fivetuple/correlator"
	"fivetuple/correlator/flow"
	"fivetuple/correlator/signal"
	"fivetuple/plugins"
	"fivetuple/runner/server"
)

// guarded runs packet-guard with a route's configuration.
func guarded(t *testing.T, d plugins.Deps, conf string, r *request) *httptest.ResponseRecorder {
	t.Helper()
	p := plugins.NewPacketGuard(d)
	parsed, err := p.ParseConf([]byte(conf))
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	w.Code = 0 // none is written
	p.RequestFilter(parsed, w, r)
	return w
}

// answers returns what was counted, as "route: answer=calls".
func answers(c *plugins.Counters) string {
	var b strings.Builder
	c.Guard(func(route string, counts [plugins.GuardAnswers]uint64) {
		fmt.Fprintf(&b, "%s:", route)
		for a, n := range counts {
			if n > 0 {
				fmt.Fprintf(&b, " %v=%d", plugins.GuardAnswer(a), n)
			}
		}
	})
	return b.String()
}

func TestGuard(t *testing.T) {
	const named = `;signals="slow-headers"`
	two := signal.Verdict{Score: 0.95, Signals: signal.Of(signal.SlowHeaders, signal.PortScan)}
	for _, c := range []struct {
		conf    string
		against signal.Verdict
		header  string // of the call that goes on
		status  int    // of the answer in its place
		counted string
	}{
		{`{}`, signal.Verdict{}, "pass;score=0.0", 0, "passed"},
		{``, slow(0.9), "pass;score=0.9" + named, 0, "passed"},
		{`{}`, slow(0.95), "refuse;status=429;score=0.95" + named, 0, "observed"},
		{`{"mode":"observe","status":403}`, slow(0.95), "refuse;status=403;score=0.95" + named, 0, "observed"},
		{`{"refuse_above":0.5}`, slow(0.6), "refuse;status=429;score=0.6" + named, 0, "observed"},
		{`{"refuse_above":1}`, slow(1), "pass;score=1.0" + named, 0, "passed"},
		{`{"refuse_above":0}`, slow(0), "pass;score=0.0" + named, 0, "passed"},
		{`{"signals":["port-scan"]}`, slow(1), "pass;score=0.0", 0, "passed"},
		{`{"signals":["port-scan","retransmit"]}`, two, `refuse;status=429;score=0.95;signals="port-scan"`, 0, "observed"},
		{`{"exempt":["10.0.0.0/8","192.0.2.0/24"]}`, slow(1), "pass;exempt;score=1.0" + named, 0, "exempt"},
		{`{"exempt":["10.0.0.0/8","2001:db8::/32"]}`, slow(1), "refuse;status=429;score=1.0" + named, 0, "observed"},
		{`{"mode":"enforce"}`, slow(0.9), "", 0, "passed"},
		{`{"mode":"enforce"}`, slow(0.91), "", 429, "refused"},
		{`{"mode":"enforce","status":503,"retry_after":"2m","refuse_above":0.2}`, slow(0.21), "", 503, "refused"},
		{`{"mode":"enforce","exempt":["192.0.2.7/32"]}`, slow(1), "", 0, "exempt"},
		{`{"mode":"enforce","signals":["port-scan"]}`, slow(1), "", 0, "passed"},
	} {
		d := judged(t, newWire(), c.against)
		r := newRequest(tupleField(), "X-Packet-Guard: pass", "X_packet_guard: forged", "Accept: */*", "X-Forwarded-For: 10.0.0.1")
		w := guarded(t, d, c.conf, r)
		if w.Code != c.status || answers(d.Counters) != ": "+c.counted+"=1" {
			t.Errorf("%s, %v: status %d, counted %s", c.conf, c.against, w.Code, answers(d.Counters))
		}
		if c.status != 0 {
			after := map[int]string{429: "5", 503: "120"}[c.status]
			if w.Header().Get("Retry-After") != after || w.Body.String() != "request refused\n" {
				t.Errorf("%s: %v, %q", c.conf, w.Header(), w.Body)
			}
			continue
		}
		want := map[string]string{"x-packet-guard": c.header}
		if c.header == "" {
			want = nil
		}
		checkFields(t, c.conf, owned(r.header.Header), want)
		if w.Body.Len() > 0 || r.header.Get("Accept") != "*/*" || r.response != nil {
			t.Errorf("%s: body %q, header %v", c.conf, w.Body, r.header)
		}
	}
}

// TestGuardReadBack: what RFC 9651 reads from the header.
func TestGuardReadBack(t *testing.T) {
	r := newRequest(tupleField())
	guarded(t, judged(t, newWire(), slow(0.987)), `{}`, r)
	item, err := httpsfv.UnmarshalItem(r.header.Values("X-Packet-Guard"))
	if err != nil || item.Value != httpsfv.Token("refuse") {
		t.Fatalf("%v, %v", item, err)
	}
	for name, want := range map[string]any{"status": int64(429), "score": 0.987, "signals": "slow-headers"} {
		if got, _ := item.Params.Get(name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}

// TestGuardFailsOpen: without a record, or a right configuration, every call passes.
func TestGuardFailsOpen(t *testing.T) {
	const refuse = `{"mode":"enforce","refuse_above":0}`
	failing := func(err error) *wire {
		w := newWire()
		w.err = err
		return w
	}
	for _, c := range []struct {
		name   string
		table  *wire
		conf   any
		fields []string
		header string
	}{
		{"no record", failing(flow.ErrNotFound), refuse, []string{tupleField()}, ""},
		{"stale", failing(flow.ErrStale), refuse, []string{tupleField()}, ""},
		{"no tables", failing(flow.ErrNoTable), refuse, []string{tupleField()}, ""},
		{"no tables, observed", failing(flow.ErrNoTable), `{}`, []string{tupleField()}, "pass;reason=pins"},
		{"no tuple", newWire(), `{}`, nil, "pass;reason=tuple"},
		{"no tuple, enforced", newWire(), refuse, nil, ""},
		{"wrong", newWire(), `{"mode":"enforce","refuse_above":2}`, []string{tupleField()}, "pass;reason=config"},
		{"foreign", newWire(), 7, []string{tupleField()}, "pass;reason=config"},
		{"none", newWire(), nil, []string{tupleField()}, "pass;reason=config"},
	} {
		d := judged(t, c.table, slow(1))
		p := plugins.NewPacketGuard(d)
		parsed := c.conf
		if text, ok := c.conf.(string); ok {
			var err error
			if parsed, err = p.ParseConf([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		r := newRequest(append(c.fields, "X-Packet-Guard: refuse")...)
		w := httptest.NewRecorder()
		w.Code = 0
		p.RequestFilter(parsed, w, r)
		want := map[string]string{"x-packet-guard": c.header}
		if c.header == "" {
			want = nil
		}
		checkFields(t, c.name, owned(r.header.Header), want)
		if w.Code != 0 || w.Body.Len() != 0 || answers(d.Counters) != ": passed=1" {
			t.Errorf("%s: status %d, counted %s", c.name, w.Code, answers(d.Counters))
		}
	}
}

func TestWrongGuardConf(t *testing.T) {
	const (
		above    = " is not a number in 0..1"
		status   = " is not a whole number in 400..599"
		after    = ` is not whole seconds in "1s".."24h"`
		network  = " is not a network, like 10.0.0.0/8 or 2001:db8::/32"
		networks = " is not a list of one or more networks"
	)
	for _, c := range []struct{ conf, want string }{
		{`{"Mode":"enforce"}`, `"Mode" is not a key; keys are mode, refuse_above, status, retry_after, signals, exempt, expose, flag_above`},
		{`{"mode":"block"}`, `mode: "\"block\"" is not one of observe, enforce`},
		{`{"mode":null}`, `mode: "null" is not one of observe, enforce`},
		{`{"refuse_above":1.1}`, `refuse_above: "1.1"` + above},
		{`{"refuse_above":-0.1}`, `refuse_above: "-0.1"` + above},
		{`{"refuse_above":"0.9"}`, `refuse_above: "\"0.9\""` + above},
		{`{"refuse_above":null}`, `refuse_above: "null"` + above},
		{`{"refuse_above":1e999}`, `refuse_above: "1e999"` + above},
		{`{"flag_above":0}`, `flag_above: "0" is not a number above 0, up to 1`},
		{`{"status":399}`, `status: "399"` + status},
		{`{"status":600}`, `status: "600"` + status},
		{`{"status":429.5}`, `status: "429.5"` + status},
		{`{"status":"429"}`, `status: "\"429\""` + status},
		{`{"retry_after":5}`, `retry_after: "5"` + after},
		{`{"retry_after":"5"}`, `retry_after: "\"5\""` + after},
		{`{"retry_after":"0s"}`, `retry_after: "\"0s\""` + after},
		{`{"retry_after":"25h"}`, `retry_after: "\"25h\""` + after},
		{`{"retry_after":"1500ms"}`, `retry_after: "\"1500ms\""` + after},
		{`{"signals":[]}`, `signals: "[]" is not a list of one or more names`},
		{`{"signals":["rtt","loud"]}`, `signals[1]: "loud" is not one of ` + signal.All.String()},
		{`{"signals":["rtt","rtt"]}`, `signals[1]: "rtt" is there twice`},
		{`{"expose":"client"}`, `expose: "\"client\"" is not one of upstream, none`},
		{`{"exempt":"10.0.0.0/8"}`, `exempt: "\"10.0.0.0/8\""` + networks},
		{`{"exempt":["10.0.0.0/8","10.0.0.1"]}`, `exempt[1]: "10.0.0.1"` + network},
		{`{"exempt":["10.0.0.1/8"]}`, `exempt[0]: "10.0.0.1/8"` + network},
		{`{"exempt":["::ffff:10.0.0.0/104"]}`, `exempt[0]: "::ffff:10.0.0.0/104"` + network},
		{`{"exempt":["` + strings.Repeat(`10.0.0.0/8","`, 256) + `10.0.0.0/8"]}`, `exempt: 257 networks are more than 256`},
		{`null`, `"null" is not a JSON object`},
	} {
		d := judged(t, newWire(), slow(1))
		p := plugins.NewPacketGuard(d)
		conf, err := p.ParseConf([]byte(c.conf))
		if got := confError(conf); err != nil || got == nil || got.Error() != wrong+c.want {
			t.Errorf("%.80s: %v, carries\n%v, want\n%s", c.conf, err, got, wrong+c.want)
		}
		if d.Counters.ConfErrors.Load() != 1 {
			t.Errorf("%.80s: counted %d", c.conf, d.Counters.ConfErrors.Load())
		}
	}
}

// TestGuardRoutesAreBounded: answers of routes beyond the bound are counted as other's; none is lost.
func TestGuardRoutesAreBounded(t *testing.T) {
	const routes, bound = 3000, 1000
	d := judged(t, newWire(), slow(1))
	p := plugins.NewPacketGuard(d)
	for i := range routes {
		conf, _ := p.ParseConf([]byte(`{}`))
		for range 2 {
			p.RequestFilter(conf, nil, &routedRequest{newRequest(tupleField()), correlator.Route{Route: fmt.Sprint("r", i)}})
		}
	}
	sum, other, names := uint64(0), uint64(0), 0
	d.Counters.Guard(func(route string, counts [plugins.GuardAnswers]uint64) {
		names++
		sum += counts[plugins.GuardObserve]
		if route == plugins.GuardOtherRoutes {
			other = counts[plugins.GuardObserve]
		}
	})
	if sum != 2*routes || other != 2*(routes-bound) || names != bound+1 {
		t.Errorf("%d answers of %d routes, %d of others", sum, names, other)
	}
}

// routedRequest is a call of our own server, which says whose configuration runs.
type routedRequest struct {
	*request
	route correlator.Route
}

func (r *routedRequest) Route() correlator.Route { return r.route }

// TestBothPlugins on a route, in either order, look at one call: what they say is the same, and nothing forged stays.
func TestBothPlugins(t *testing.T) {
	const insight, guard = `packet-insight: {"headers":["match","anomaly"]}`, `packet-guard: `
	const refuse = `refuse;status=429;score=0.95;signals="slow-headers"`
	want := []string{
		"X-Packet-Anomaly: " + `0.95;signals="slow-headers";baseline=learning`, "X-Packet-Guard: " + refuse, "X-Packet-Match: " + wireMatch,
		"X-Packet-Tuple", "X_packet_guard",
	}
	forged := []string{"x-packet-tuple: " + wireTuple, "x-packet-match: forged", "x-packet-guard: forged", "x_packet_guard: forged"}
	for _, order := range [][]string{{insight, guard + "{}"}, {guard + "{}", insight}} {
		d := judged(t, newWire(), slow(0.95))
		a, _ := serveDeps(t, d, server.ConfigErrorMark)
		upstream, client := a.call(a.prepareAll(order...), forged...)
		checkChanges(t, fmt.Sprint(order), upstream, want...)
		checkChanges(t, fmt.Sprint(order), client)
		if got := answers(d.Counters); got != t.Name()+": observed=1" {
			t.Errorf("%v: counted %s", order, got)
		}
		checkCounters(t, "one call", d.Counters, map[string]uint64{"TupleHeader": 1, "exchange": 1})
	}
	a, _ := serveDeps(t, judged(t, newWire(), slow(0.95)), server.ConfigErrorMark)
	status, body := a.stopped(a.prepareAll(guard+`{"mode":"enforce"}`, insight), forged...)
	if status != http.StatusTooManyRequests || body != "request refused\n" {
		t.Errorf("enforced: %d, %q", status, body)
	}
	// A wrong guard is marked, or refuses every call, as the settings say.
	upstream, _ := a.call(a.prepareAll(guard+`{"mode":"kill"}`), forged...)
	checkChanges(t, "a wrong guard", upstream, "X-Packet-Guard: pass;reason=config", "X-Packet-Tuple", "X_packet_guard")
	a, log := serveDeps(t, judged(t, newWire(), slow(0)), server.ConfigErrorRefuse)
	if status, _ := a.stopped(a.prepareAll(guard+`{"mode":"kill"}`), forged...); status != http.StatusServiceUnavailable {
		t.Errorf("a wrong guard, refused: %d", status)
	}
	checkOneError(t, log, t.Name(), `conf[0], plugin "packet-guard": `+wrong+`mode: "\"kill\"" is not one of observe, enforce`)
}

// FuzzGuardConf: whatever a configuration is, it is taken, or carries an error, says so on the call, and refuses nothing.
func FuzzGuardConf(f *testing.F) {
	f.Add(`{"mode":"enforce","refuse_above":0.5,"status":503,"retry_after":"1m","signals":["rtt"],"exempt":["10.0.0.0/8"],"flag_above":1}`)
	f.Add(`{"mode":"enforce","refuse_above":0} x`)
	d := judged(f, newWire(), slow(1))
	p := plugins.NewPacketGuard(d)
	f.Fuzz(func(t *testing.T, text string) {
		conf, err := p.ParseConf([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		r := newRequest(tupleField())
		w := httptest.NewRecorder()
		p.RequestFilter(conf, w, r)
		refused := w.Body.Len() > 0
		if failed := confError(conf) != nil; failed != (r.header.Get("X-Packet-Guard") == "pass;reason=config") || failed && refused {
			t.Fatalf("%q: carries %v, header %v, refused %v", text, confError(conf), r.header, refused)
		}
		if refused && (w.Code < 400 || w.Code > 599 || w.Header().Get("Retry-After") == "") {
			t.Fatalf("%q: %d, %v", text, w.Code, w.Header())
		}
	})
}
