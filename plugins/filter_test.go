package plugins_test

import (
	"errors"
	"testing"

	"github.com/apache/apisix-go-plugin-runner/pkg/common"
	"github.com/apache/apisix-go-plugin-runner/pkg/plugin"
	"github.com/dunglas/httpsfv"

	"fivetuple/conf"
	"fivetuple/correlator"
	"fivetuple/correlator/flow"
	"fivetuple/correlator/signal"
	"fivetuple/plugins"
)

func TestPluginNamesAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range plugins.All(plugins.Deps{}) {
		if p.Name() == "" || seen[p.Name()] {
			t.Errorf("%T is named %q", p, p.Name())
		}
		seen[p.Name()] = true
	}
	if !seen["packet-insight"] || !seen["packet-guard"] {
		t.Errorf("only %v are there", seen)
	}
}

func TestForeignConf(t *testing.T) {
	for _, foreign := range []any{nil, "{}", []byte("{}"), struct{}{}, 7} {
		p, _ := newInsight(t, newWire())
		r := newRequest(tupleField(), "X-Packet-Size: forged")
		p.RequestFilter(foreign, nil, r)
		checkFields(t, "foreign", owned(r.header.Header), map[string]string{"x-packet-match": "none;reason=config"})
	}
}

func TestNoTuple(t *testing.T) {
	for name, r := range map[string]*request{
		"nothing":        newRequest(),
		"a wrong header": newRequest("X-Packet-Tuple: 1 2 3"),
		"a broken call":  {header: newRequest().header, err: common.ErrConnClosed},
		"bytes and a broken call": {
			header: newRequest().header, err: errors.New("reset"), vars: map[string][]byte{"packet_tuple": []byte(wireTuple)},
		},
	} {
		filter(t, newWire(), ``, r)
		checkFields(t, name, owned(r.header.Header), map[string]string{"x-packet-match": "none;reason=tuple"})
	}
}

// TestNothingIsKept: the library uses a request's memory again, once the filter has returned.
func TestNothingIsKept(t *testing.T) {
	p, _ := newInsight(t, newWire())
	conf, _ := p.ParseConf([]byte(`{"headers":["match","flow"],"expose":"both"}`))
	for range 2 {
		r := newRequest()
		r.vars["packet_tuple"] = []byte(wireTuple)
		p.RequestFilter(conf, nil, r)
		clear(r.vars["packet_tuple"])
		want := map[string]string{"x-packet-match": wireMatch, "x-packet-flow": `"` + communityID() + `"`}
		checkFields(t, "upstream", owned(r.header.Header), want)
		checkFields(t, "client", owned(r.response), want)
	}
}

// TestHTTP2IsAskedOnce a connection, and only over TLS.
func TestHTTP2IsAskedOnce(t *testing.T) {
	w := newWire()
	d := &w.record.Conn.Dir[flow.RX]
	d.FirstLen = uint8(copy(d.FirstPayload[:], "\x16\x03\x01"))
	w.exchange("", 300)
	p, _ := newInsight(t, w)
	conf, _ := p.ParseConf([]byte(`{"headers":["match"]}`))
	for i, asked := range []int{1, 0, 0} {
		r := newRequest(tupleField())
		r.vars["http2"] = []byte("h2")
		p.RequestFilter(conf, nil, r)
		if len(r.asked) != asked || r.header.Get("X-Packet-Match") != "connection;tls" {
			t.Errorf("call %d: asked %v, %s", i+1, r.asked, r.header.Get("X-Packet-Match"))
		}
	}
}

// TestHeadersReadBack: what RFC 9651 reads from the headers is what the correlator said.
func TestHeadersReadBack(t *testing.T) {
	w := newWire()
	r := newRequest(tupleField(), "Content-Length: 7000")
	filter(t, w, `{"headers":["match","latency","size","flow"]}`, r)
	tuple, _ := correlator.ParseTuple(wireTuple)
	want := newCorrelator(t, w).Match(wireNow, correlator.Call{Tuple: tuple, ContentLength: 7000})
	for name, values := range map[string]map[string]any{
		"match":   {"": httpsfv.Token(want.Match.String()), "n": int64(want.Number), "partial": want.Partial},
		"latency": {"": int64(want.RTT.Now), "min": int64(want.RTT.Min), "handshake": int64(want.RTT.Handshake), "recv": int64(want.Timing.Recv), "wait": int64(want.Timing.Wait)},
		"size":    {"": int64(want.Size.Bytes), "packets": int64(want.Size.Packets), "payload": int64(want.Size.Payload), "min": int64(want.Size.Min), "max": int64(want.Size.Max), "partial": want.Partial},
		"flow":    {"": want.FlowID},
	} {
		item, err := httpsfv.UnmarshalItem(r.header.Values("X-Packet-" + name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for key, value := range values {
			got := item.Value
			if key != "" {
				got, _ = item.Params.Get(key)
			}
			if got != value {
				t.Errorf("%s;%s is %v, want %v", name, key, got, value)
			}
		}
		if got := len(item.Params.Names()); got != len(values)-1 {
			t.Errorf("%s has %d parameters: %v", name, got, item.Params.Names())
		}
	}
}

func TestDictionaryReadBack(t *testing.T) {
	r := newRequest(tupleField())
	filter(t, newWire(), `{"format":"dictionary","headers":["match","latency","size","flow"]}`, r)
	dictionary, err := httpsfv.UnmarshalDictionary(r.header.Values("X-Packet"))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"match": httpsfv.Token("exchange"), "latency": int64(23120), "size": int64(1480), "flow": communityID(),
	} {
		member, _ := dictionary.Get(name)
		if item, ok := member.(httpsfv.Item); !ok || item.Value != want {
			t.Errorf("%s is %v, want %v", name, member, want)
		}
	}
}

// TestShippedRoutes: every configuration in the shipped apisix.yaml is one of a plugin that is there, and right.
func TestShippedRoutes(t *testing.T) {
	file, err := conf.APISIXRoutes()
	if err != nil {
		t.Fatal(err)
	}
	shipped := map[string]plugin.Plugin{}
	for _, p := range plugins.All(judged(t, newWire(), signal.Verdict{})) {
		shipped[p.Name()] = p
	}
	used := map[string]bool{}
	for _, route := range file.Routes {
		for _, c := range route.PluginConfs() {
			p, ok := shipped[c.Name]
			if !ok {
				t.Errorf("route %s: there is no plugin %s", route.ID, c.Name)
				continue
			}
			used[c.Name] = true
			parsed, err := p.ParseConf([]byte(c.Value))
			if wrong := confError(parsed); err != nil || wrong != nil {
				t.Errorf("route %s: %v, %v", route.ID, err, wrong)
			}
			r := newRequest(tupleField())
			p.RequestFilter(parsed, nil, r)
			if r.header.Get("X-Packet-Match") != wireMatch && r.response.Get("X-Packet") == "" && r.header.Get("X-Packet-Guard") != "pass;score=0.0" {
				t.Errorf("route %s: %v, %v", route.ID, r.header, r.response)
			}
		}
	}
	if len(used) != len(shipped) {
		t.Errorf("only %v are on a route", used)
	}
}
