package plugins_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/apache/apisix-go-plugin-runner/pkg/plugin"

	"fivetuple/correlator"
	"fivetuple/plugins"
)

// TestForgedHeadersAreRemoved: whatever a client sends under our names, in any spelling that an upstream may take for one.
func TestForgedHeadersAreRemoved(t *testing.T) {
	want := map[string]string{"x-packet-match": wireMatch, "x-packet-latency": wireLatency, "x-packet-size": wireSize}
	for _, name := range []string{
		"x-packet-match", "X-PACKET-MATCH", "x_packet_match", "X_Packet-Match", "x-packet_match", "x-packet-size", "x_packet_latency",
		"x-packet-flow", "x-packet-anomaly", "x-packet-anything", "x-packet-", "x_packet_", "x-packet", "X_PACKET",
	} {
		r := newRequest(tupleField(), name+": forged", name+": again", "X-Packets: 1", "X-Pack: 2", "Packet-Match: 3")
		filter(t, newWire(), `{}`, r)
		got := owned(r.header.Header)
		if got["x-packets"] != "1" || r.header.Get("X-Pack") != "2" || r.header.Get("Packet-Match") != "3" {
			t.Errorf("%s: others' headers are gone: %v", name, r.header)
		}
		delete(got, "x-packets")
		checkFields(t, name, got, want)
	}
}

func TestForgedHeadersOfAPrefix(t *testing.T) {
	r := newRequest(tupleField(), "X_Net_Match: forged", "x-net-anomaly: forged", "x-packet-match: forged", "x_packet: forged")
	filter(t, newWire(), `{"prefix":"x-net-","headers":["match"]}`, r)
	checkFields(t, "x-net-", owned(r.header.Header), map[string]string{"x-net-match": wireMatch})
}

// TestAPrefixTakesNobodysHeaders: of a prefix that others' names have too, only what we write is ours.
func TestAPrefixTakesNobodysHeaders(t *testing.T) {
	for prefix, field := range map[string]string{
		"accept-": "Accept: text/html",
		"x-":      "X-Request-Id: 7", "content-": "Content-Type: text/plain", "x-forwarded-": "X-Forwarded-For: 192.0.2.7",
	} {
		r := newRequest(tupleField(), field)
		filter(t, newWire(), `{"prefix":"`+prefix+`"}`, r)
		name, value, _ := strings.Cut(field, ": ")
		if r.header.Get(name) != value || r.header.Get(prefix+"match") != wireMatch {
			t.Errorf("%s: %v", prefix, r.header)
		}
	}
}

// manyFields returns a number of the client's own header fields.
func manyFields(n int) []string {
	fields := make([]string, n)
	for i := range fields {
		fields[i] = fmt.Sprintf("A%d: 1", i)
	}
	return fields
}

// TestTruncatedHeaders: the gateway sends a runner 100 header fields, and the client's own may come behind.
func TestTruncatedHeaders(t *testing.T) {
	r := newRequest(manyFields(100)...)
	r.vars["packet_tuple"] = []byte(wireTuple)
	filter(t, newWire(), `{}`, r)
	checkFields(t, "headers", owned(r.header.Header), map[string]string{
		"x-packet-match": wireMatch + ";headers=truncated", "x-packet-latency": wireLatency, "x-packet-size": wireSize,
	})
	checkDeleted(t, r, "X-Packet", "X-Packet-Anomaly", "X-Packet-Flow", "X-Packet-Tuple")
	r = newRequest(manyFields(100)...)
	r.vars["packet_tuple"] = []byte(wireTuple)
	filter(t, newWire(), `{"format":"dictionary","headers":["match"],"expose":"client"}`, r)
	checkFields(t, "client", owned(r.header.Header), map[string]string{})
	checkDeleted(t, r, "X-Packet", "X-Packet-Anomaly", "X-Packet-Flow", "X-Packet-Latency", "X-Packet-Match", "X-Packet-Size", "X-Packet-Tuple")
	checkFields(t, "client", owned(r.response), map[string]string{"x-packet": "match=" + wireMatch + ";headers=truncated"})
}

// checkDeleted compares the names whose deletion was asked for, seen or not.
func checkDeleted(t *testing.T, r *request, want ...string) {
	t.Helper()
	if got := slices.Sorted(maps.Keys(r.header.deleted)); !slices.Equal(got, want) {
		t.Errorf("deleted: %q, want %q", got, want)
	}
}

func TestNotTruncatedHeaders(t *testing.T) {
	want := map[string]string{"x-packet-match": wireMatch}
	few := newRequest(manyFields(99)...)
	few.vars["packet_tuple"] = []byte(wireTuple)
	filter(t, newWire(), `{"headers":["match"]}`, few)
	checkFields(t, "99", owned(few.header.Header), want)

	cleared := newRequest(append(manyFields(99), tupleField())...)
	filter(t, newWire(), `{"headers":["match"]}`, cleared)
	checkFields(t, "the gateway's own tuple", owned(cleared.header.Header), want)
}

func TestRepeatedFieldsCount(t *testing.T) {
	r := newRequest()
	r.header.Header["Cookie"] = make([]string, 100)
	filter(t, newWire(), `{"headers":["match"]}`, r)
	if got, want := r.header.Get("X-Packet-Match"), "none;reason=tuple;headers=truncated"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestTheTuplesHeaderIsAlwaysDeleted: whatever a plugin knows of a call, and also where the gateway did not show the header.
func TestTheTuplesHeaderIsAlwaysDeleted(t *testing.T) {
	for name, fields := range map[string][]string{
		"seen": {tupleField()}, "unseen": manyFields(100), "no tuple": nil, "not a tuple": {"X-Packet-Tuple: 1 2 3"},
	} {
		for _, variable := range []string{"", wireTuple} {
			for _, c := range []struct{ plugin, conf string }{
				{"insight", `{}`},
				{"insight", `{"expose":"client"}`},
				{"insight", `{"expose":"none"}`},
				{"insight", `{"format":"dictionary"}`},
				{"insight", `{"prefix":"x-net-"}`},
				{"insight", `{"wrong":1}`},
				{"guard", `{}`},
				{"guard", `{"mode":"enforce"}`},
				{"guard", `{"expose":"none"}`},
				{"guard", `{"wrong":1}`},
			} {
				d := judged(t, newWire(), slow(0))
				var p plugin.Plugin = plugins.NewPacketInsight(d)
				if c.plugin == "guard" {
					p = plugins.NewPacketGuard(d)
				}
				r := newRequest(fields...)
				if variable != "" {
					r.vars["packet_tuple"] = []byte(variable)
				}
				conf, _ := p.ParseConf([]byte(c.conf))
				p.RequestFilter(conf, nil, r)
				if !r.header.deleted["X-Packet-Tuple"] {
					t.Errorf("%s %s, header %s, variable %q: not deleted", c.plugin, c.conf, name, variable)
				}
			}
		}
	}
}

// TestNothingIsExposed: no header for anybody, what the client sent under our names is removed, and the call is looked at as others
// are. A wrong configuration that exposes nothing goes on exposing nothing.
func TestNothingIsExposed(t *testing.T) {
	for _, c := range []struct {
		plugin, conf string
		wrong        bool
	}{
		{"insight", `{"expose":"none"}`, false},
		{"insight", `{"expose":"none","format":"dictionary"}`, false},
		{"insight", `{"expose":"none","headers":["match","flow"],"prefix":"x-net-"}`, false},
		{"insight", `{"expose":"none","headers":["such"]}`, true},
		{"insight", `{"a":1,"expose":"none"}`, true},
		{"insight", `{"expose":"none","flag_above":"high"}`, true},
		{"guard", `{"expose":"none"}`, false},
		{"guard", `{"expose":"none","mode":"enforce"}`, false},
		{"guard", `{"expose":"none","status":"high"}`, true},
	} {
		d := judged(t, newWire(), slow(0))
		var p plugin.Plugin = plugins.NewPacketInsight(d)
		forged := "X-Packet-Match: forged"
		if c.plugin == "guard" {
			p, forged = plugins.NewPacketGuard(d), "X-Packet-Guard: forged"
		}
		r := newRequest(tupleField(), forged)
		conf, _ := p.ParseConf([]byte(c.conf))
		p.RequestFilter(conf, nil, r)
		checkFields(t, c.conf+": upstream", owned(r.header.Header), map[string]string{})
		checkFields(t, c.conf+": client", owned(r.response), map[string]string{})
		if got := confError(conf) != nil; got != c.wrong {
			t.Errorf("%s: %v", c.conf, confError(conf))
		}
		if n := d.Counters.TupleHeader.Load(); c.plugin == "insight" && !c.wrong && (n != 1 || d.Counters.Matches(correlator.MatchExchange) != 1) {
			t.Errorf("%s: the call was not looked at: %d", c.conf, n)
		}
	}
}
