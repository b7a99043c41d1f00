package correlator_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"fivetuple/correlator"
	"fivetuple/correlator/flow"
)

const tupleText = "192.0.2.7 50123 10.0.0.1 9080 17 3 412"

func wantTuple() correlator.Tuple {
	return correlator.Tuple{
		Peer: netip.MustParseAddrPort("192.0.2.7:50123"), Gateway: netip.MustParseAddrPort("10.0.0.1:9080"),
		Connection: 17, Requests: 3, RequestLength: 412,
	}
}

func formatTuple(t correlator.Tuple) string {
	return fmt.Sprintf("%v %d %v %d %d %d %d", t.Peer.Addr(), t.Peer.Port(), t.Gateway.Addr(), t.Gateway.Port(),
		t.Connection, t.Requests, t.RequestLength)
}

func TestParseTuple(t *testing.T) {
	for _, text := range []string{
		tupleText,
		"::ffff:192.0.2.7 50123 10.0.0.1 9080 17 3 412",
		"::ffff:192.0.2.7 50123 ::ffff:10.0.0.1 9080 17 3 412",
	} {
		if got, err := correlator.ParseTuple(text); err != nil || got != wantTuple() {
			t.Errorf("%q: got %+v, %v", text, got, err)
		}
	}
}

func TestParseTupleIPv6(t *testing.T) {
	got, err := correlator.ParseTuple("2001:db8::7%eth0 65535 fe80::1%3 1 18446744073709551615 18446744073709551615 18446744073709551615")
	const most = 1<<64 - 1
	want := correlator.Tuple{
		Peer: netip.MustParseAddrPort("[2001:db8::7]:65535"), Gateway: netip.MustParseAddrPort("[fe80::1]:1"),
		Connection: most, Requests: most, RequestLength: most,
	}
	if err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestTheLongestTuple(t *testing.T) {
	long := "2001:0db8:1111:2222:3333:4444:5555:6666"
	text := fmt.Sprintf("%s 65535 %s 65535 %[3]d %[3]d %[3]d", long, long, uint64(1<<64-1))
	if _, err := correlator.ParseTuple(text); err != nil {
		t.Error(err)
	}
}

func TestParseTupleRefuses(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", `"" has 1 fields, not 7`},
		{"192.0.2.7", "has 1 fields, not 7"},
		{"192.0.2.7 50123 10.0.0.1 9080 17 3", "has 6 fields, not 7"},
		{tupleText + " 1 2", "has more than 8 fields"},
		{tupleText + " ", "no request id of 1 to 63 bytes"},
		{tupleText + " " + strings.Repeat("a", 64), "no request id of 1 to 63 bytes"},
		{" " + tupleText, "ParseAddr"},
		{strings.ReplaceAll(tupleText, " ", "  "), "has more than 8 fields"},
		{strings.ReplaceAll(tupleText, " ", "\t"), "has 1 fields, not 7"},
		{tupleText + "\n", "invalid syntax"},
		{tupleText + "\x00", "invalid syntax"},
		{"unix: 0 unix: 0 17 3 412", "ParseAddr"},
		{"example.org 1 10.0.0.1 9080 17 3 412", "ParseAddr"},
		{"[::1] 1 ::1 9080 17 3 412", "ParseAddr"},
		{"192.0.2.07 1 10.0.0.1 9080 17 3 412", "ParseAddr"},
		{"192.0.2.7 65536 10.0.0.1 9080 17 3 412", "value out of range"},
		{"192.0.2.7 -1 10.0.0.1 9080 17 3 412", "invalid syntax"},
		{"192.0.2.7 +1 10.0.0.1 9080 17 3 412", "invalid syntax"},
		{"192.0.2.7 1 10.0.0.1  17 3 412", "invalid syntax"},
		{"192.0.2.7 1 10.0.0.1 9080 0x11 3 412", "invalid syntax"},
		{"192.0.2.7 1 10.0.0.1 9080 17 1_0 412", "invalid syntax"},
		{"192.0.2.7 1 10.0.0.1 9080 17 3 18446744073709551616", "value out of range"},
		{"192.0.2.7 1 10.0.0.1 9080 17 0 412", "connection_requests is 0"},
		{"192.0.2.7 1 ::1 9080 17 3 412", "two families"},
		{strings.Repeat("1", 4000), "4000 bytes are more than"},
	} {
		got, err := correlator.ParseTuple(c.text)
		if !errors.Is(err, correlator.ErrTuple) || !strings.Contains(err.Error(), c.want) || got != (correlator.Tuple{}) {
			t.Errorf("%q: got %+v, %v, want an error with %q", c.text, got, err, c.want)
		}
	}
}

func TestTupleKey(t *testing.T) {
	k := wantTuple().Key()
	if k.LocalAddr() != wantTuple().Gateway || k.RemoteAddr() != wantTuple().Peer || k.Proto != flow.TCP {
		t.Errorf("got %v", k)
	}
}

// FuzzParseTuple: an error if and only if there is no tuple; and a tuple, written and read, is the same.
func FuzzParseTuple(f *testing.F) {
	f.Add(tupleText)
	f.Add("2001:db8::7 1 ::1 2 3 4 5")
	f.Add("fe80::1%eth0 1 ::ffff:1.2.3.4 2 3 4 5")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := correlator.ParseTuple(text)
		if (err != nil) != (got == correlator.Tuple{}) {
			t.Fatalf("%+v and %v", got, err)
		}
		if err != nil {
			if !errors.Is(err, correlator.ErrTuple) || len(err.Error()) > 2000 {
				t.Fatalf("%v", err)
			}
			return
		}
		if again, err := correlator.ParseTuple(formatTuple(got)); err != nil || again != got {
			t.Fatalf("%+v, written and read: %+v, %v", got, again, err)
		}
	})
}

// fakeGateway answers from maps and notes what it was asked.
type fakeGateway struct {
	headers, vars map[string]string
	asked         []string
}

func (g *fakeGateway) Header(name string) string {
	g.asked = append(g.asked, "header "+name)
	return g.headers[name]
}

func (g *fakeGateway) Var(name string) string {
	g.asked = append(g.asked, name)
	return g.vars[name]
}

// Vars asks in turn until one has no value.
func (g *fakeGateway) Vars(names []string) []string {
	var values []string
	for _, name := range names {
		if values = append(values, g.Var(name)); values[len(values)-1] == "" {
			break
		}
	}
	return values
}

func singleVariables() map[string]string {
	return map[string]string{
		"realip_remote_addr": "192.0.2.7", "realip_remote_port": "50123", "server_addr": "10.0.0.1",
		"server_port": "9080", "connection": "17", "connection_requests": "3", "request_length": "412",
	}
}

var (
	askHeader  = []string{"header X-Packet-Tuple"}
	askMap     = []string{"packet_tuple"}
	askSingles = []string{
		"realip_remote_addr", "realip_remote_port", "server_addr", "server_port",
		"connection", "connection_requests", "request_length",
	}
)

func TestFindTuple(t *testing.T) {
	header := map[string]string{"X-Packet-Tuple": tupleText}
	mapped := map[string]string{"packet_tuple": tupleText}
	for _, c := range []struct {
		name    string
		way     string
		headers map[string]string
		vars    map[string]string
		found   string
		asked   []string
	}{
		{"header", "header", header, mapped, "header", askHeader},
		{"header to map variable", "header", nil, mapped, "map-variable", slices.Concat(askHeader, askMap)},
		{"header to variables", "header", nil, singleVariables(), "variables", slices.Concat(askHeader, askMap, askSingles)},
		{"map variable, though there is a header", "map-variable", header, mapped, "map-variable", askMap},
		{"map variable to variables", "map-variable", header, singleVariables(), "variables", slices.Concat(askMap, askSingles)},
		{"variables, though there is a header", "variables", header, singleVariables(), "variables", askSingles},
		{
			"a header that is none", "header",
			map[string]string{"X-Packet-Tuple": "forged"},
			mapped, "map-variable",
			slices.Concat(askHeader, askMap),
		},
		{
			"a map variable that is none", "map-variable", nil, with(singleVariables(), "packet_tuple", "      "), "variables",
			slices.Concat(askMap, askSingles),
		},
	} {
		g := &fakeGateway{headers: c.headers, vars: c.vars}
		got, from, err := correlator.FindTuple(g, c.way)
		want := correlator.TupleSource{
			Way: c.found, WrongHeader: c.headers["X-Packet-Tuple"] == "forged", WrongMapVariable: c.vars["packet_tuple"] == "      ",
		}
		if err != nil || got != wantTuple() || from != want || !slices.Equal(g.asked, c.asked) {
			t.Errorf("%s: got %+v by %+v, %v\nasked %v\n want %v", c.name, got, from, err, g.asked, c.asked)
		}
	}
}

func with(m map[string]string, key, value string) map[string]string {
	m[key] = value
	return m
}

func TestFindNoTuple(t *testing.T) {
	for _, c := range []struct {
		name    string
		headers map[string]string
		vars    map[string]string
		asked   []string
		want    string
	}{
		{"nothing", nil, nil, slices.Concat(askHeader, askMap, askSingles[:1]), "the gateway names none"},
		{"half", nil, map[string]string{"realip_remote_addr": "192.0.2.7"}, slices.Concat(askHeader, askMap, askSingles[:2]), "names none"},
		{
			"a wrong header is told",
			map[string]string{"X-Packet-Tuple": "forged"},
			nil,
			slices.Concat(askHeader, askMap, askSingles[:1]), `"forged" has 1 fields`,
		},
		{
			"a unix socket", nil, with(singleVariables(), "server_addr", "unix:"),
			slices.Concat(askHeader, askMap, askSingles), "ParseAddr",
		},
		{
			"a space in a variable", nil, with(singleVariables(), "server_addr", "10.0.0.1 80"),
			slices.Concat(askHeader, askMap, askSingles), "a variable has a space",
		},
	} {
		g := &fakeGateway{headers: c.headers, vars: c.vars}
		got, from, err := correlator.FindTuple(g, correlator.TupleHeader)
		want := correlator.TupleSource{WrongHeader: c.headers != nil, WrongVariables: len(c.vars) == len(askSingles)}
		if !errors.Is(err, correlator.ErrTuple) || !strings.Contains(err.Error(), c.want) || got != (correlator.Tuple{}) || from != want {
			t.Errorf("%s: got %+v by %+v, %v", c.name, got, from, err)
		}
		if !slices.Equal(g.asked, c.asked) {
			t.Errorf("%s: asked %v, want %v", c.name, g.asked, c.asked)
		}
	}
}

// oneGo is a gateway that answers several variables at once.
type oneGo struct {
	fakeGateway
	values []string
}

func (g *oneGo) Vars(names []string) []string {
	g.asked = append(g.asked, strings.Join(names, "+"))
	return g.values
}

func TestFindTupleInOneGo(t *testing.T) {
	all := strings.Fields(tupleText)
	for name, c := range map[string]struct {
		values []string
		want   correlator.TupleSource
	}{
		"all":          {all, correlator.TupleSource{Way: "variables"}},
		"none":         {nil, correlator.TupleSource{}},
		"one missing":  {slices.Concat(all[:2], []string{""}, all[3:]), correlator.TupleSource{}},
		"too few":      {all[:6], correlator.TupleSource{}},
		"too many":     {append(slices.Clone(all), "1"), correlator.TupleSource{}},
		"one is wrong": {slices.Concat(all[:6], []string{"x"}), correlator.TupleSource{WrongVariables: true}},
	} {
		g := &oneGo{values: c.values}
		got, from, err := correlator.FindTuple(g, correlator.TupleVariables)
		if (err == nil) != (got == wantTuple()) || from != c.want || !slices.Equal(g.asked, []string{strings.Join(askSingles, "+")}) {
			t.Errorf("%s: got %+v by %+v, %v, asked %v", name, got, from, err, g.asked)
		}
	}
}

func BenchmarkParseTuple(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := correlator.ParseTuple(tupleText); err != nil {
			b.Fatal(err)
		}
	}
}

func TestParseTupleWithRequestID(t *testing.T) {
	got, err := correlator.ParseTuple(tupleText + " 0123456789abcdef")
	if err != nil || got.RequestID.String() != "0123456789abcdef" || got.RequestLength != 412 {
		t.Errorf("got %+v, %v", got, err)
	}
}
