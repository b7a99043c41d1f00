package plugins_test

import (
	"errors"
	"strings"
	"testing"

	"fivetuple/plugins"
)

const wrong = "wrong plugin configuration: "

// TestWrongConf: a configuration that is wrong carries what is wrong, for the server to log, and every call says so.
func TestWrongConf(t *testing.T) {
	const (
		keys   = " is not a key; keys are headers, expose, prefix, format, flag_above"
		prefix = ` is not 2..64 of a-z, 0-9 and "-" that begin with none and end with "-"`
		names  = " is not a list of one or more names"
	)
	for _, c := range []struct{ conf, want string }{
		{`{"header":["match"]}`, `"header"` + keys},
		{`{"Expose":"both"}`, `"Expose"` + keys},
		{`{"":1}`, `""` + keys},
		{`{"z":1,"a":1}`, `"a"` + keys},
		{`{"headers":"match"}`, `headers: "\"match\""` + names},
		{`{"headers":[]}`, `headers: "[]"` + names},
		{`{"headers":null}`, `headers: "null"` + names},
		{`{"headers":[1]}`, `headers: "[1]"` + names},
		{`{"headers":{"match":true}}`, `headers: "{\"match\":true}"` + names},
		{`{"headers":["match","anomalies"]}`, `headers[1]: "anomalies" is not one of match, latency, size, anomaly, flow`},
		{`{"headers":["Match"]}`, `headers[0]: "Match" is not one of match, latency, size, anomaly, flow`},
		{`{"headers":["match","size","match"]}`, `headers[2]: "match" is there twice`},
		{`{"expose":"nobody"}`, `expose: "\"nobody\"" is not one of upstream, client, both, none`},
		{`{"expose":true}`, `expose: "true" is not one of upstream, client, both, none`},
		{`{"expose":null}`, `expose: "null" is not one of upstream, client, both, none`},
		{`{"format":"json"}`, `format: "\"json\"" is not one of headers, dictionary`},
		{`{"format":["headers"]}`, `format: "[\"headers\"]" is not one of headers, dictionary`},
		{`{"flag_above":0}`, `flag_above: "0" is not a number above 0, up to 1`},
		{`{"flag_above":1.001}`, `flag_above: "1.001" is not a number above 0, up to 1`},
		{`{"flag_above":"0.5"}`, `flag_above: "\"0.5\"" is not a number above 0, up to 1`},
		{`{"flag_above":null}`, `flag_above: "null" is not a number above 0, up to 1`},
		{`{"prefix":7}`, `prefix: "7" is not text`},
		{`{"prefix":null}`, `prefix: ""` + prefix},
		{`{"prefix":""}`, `prefix: ""` + prefix},
		{`{"prefix":"-"}`, `prefix: "-"` + prefix},
		{`{"prefix":"--"}`, `prefix: "--"` + prefix},
		{`{"prefix":"x"}`, `prefix: "x"` + prefix},
		{`{"prefix":"x-packet"}`, `prefix: "x-packet"` + prefix},
		{`{"prefix":"X-Packet-"}`, `prefix: "X-Packet-"` + prefix},
		{`{"prefix":"x_packet-"}`, `prefix: "x_packet-"` + prefix},
		{`{"prefix":"x packet-"}`, `prefix: "x packet-"` + prefix},
		{`{"prefix":"x:\r\n-"}`, `prefix: "x:\r\n-"` + prefix},
		{`{"prefix":"` + strings.Repeat("x", 64) + `-"}`, `prefix: "` + strings.Repeat("x", 64) + `-"` + prefix},
		{`null`, `"null" is not a JSON object`},
		{`{} {}`, `"{} {}": text after the object`},
		{`{}}`, `"{}}": text after the object`},
		{`{`, `"{" is not a JSON object: unexpected EOF`},
		{`x`, `"x" is not a JSON object: invalid character 'x' looking for beginning of value`},
		{`[]`, `"[]" is not a JSON object: json: cannot unmarshal array into Go value of type map[string]json.RawMessage`},
		{`"{}"`, `"\"{}\"" is not a JSON object: json: cannot unmarshal string into Go value of type map[string]json.RawMessage`},
		{`7`, `"7" is not a JSON object: json: cannot unmarshal number into Go value of type map[string]json.RawMessage`},
	} {
		checkWrongConf(t, c.conf, c.want)
	}
}

func checkWrongConf(t *testing.T, text, want string) {
	t.Helper()
	p, log := newInsight(t, newWire())
	conf, err := p.ParseConf([]byte(text))
	if err != nil {
		t.Errorf("%.80s: %v: the library would skip the plugin", text, err)
	}
	if got := confError(conf); got == nil || got.Error() != wrong+want || !errors.Is(got, plugins.ErrConf) {
		t.Errorf("%.80s: carries\n%v, want\n%s", text, got, wrong+want)
	}
	if len(log.lines) != 0 { // the server does, and knows the route
		t.Errorf("%.80s: logged %v", text, log.lines)
	}
	r := newRequest(tupleField(), "X-Packet: forged")
	p.RequestFilter(conf, nil, r)
	checkFields(t, text, owned(r.header.Header), map[string]string{"x-packet-match": "none;reason=config"})
}

// confError returns the error that a configuration carries, as a server asks for it.
func confError(conf any) error { return conf.(interface{ ConfError() error }).ConfError() }

// TestHugeConf: a message is short, however long what it complains of.
func TestHugeConf(t *testing.T) {
	huge := strings.Repeat("x", 1<<20)
	for _, text := range []string{
		huge, `{"` + huge + `":1}`, `{"headers":["` + huge + `"]}`, `{"expose":"` + huge + `"}`, `{"prefix":"` + huge + `"}`,
		`{"headers":` + strings.Repeat("[", 1<<20) + `}`, `{} ` + huge,
	} {
		p, _ := newInsight(t, newWire())
		conf, err := p.ParseConf([]byte(text))
		if carried := confError(conf); err != nil || carried == nil || len(carried.Error()) > 400 {
			t.Errorf("%.40s...: %v, carries %.500v", text, err, carried)
		}
	}
}

// FuzzParseConf: whatever a configuration is, it is taken, or carries an error that is told on every call; a right one tells its match.
func FuzzParseConf(f *testing.F) {
	f.Add(`{"headers":["match","latency","size","flow"],"expose":"both","prefix":"x-net-","format":"dictionary"}`)
	f.Add(`{"headers":["match"]} x`)
	f.Fuzz(func(t *testing.T, text string) {
		p, _ := newInsight(t, newWire())
		conf, err := p.ParseConf([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		r := newRequest(tupleField())
		p.RequestFilter(conf, nil, r)
		if failed := confError(conf) != nil; failed != (r.header.Get("X-Packet-Match") == "none;reason=config") {
			t.Fatalf("%q: carries %v, headers %v", text, confError(conf), r.header)
		}
	})
}
