package plugins_test

import (
	"strings"
	"testing"
)

const wrong = "wrong plugin configuration: "

// TestWrongConf: a configuration that is wrong is logged once, with what is wrong, and every call says so.
func TestWrongConf(t *testing.T) {
	const (
		keys   = " is not a key; keys are headers, expose, prefix, format"
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
		{`{"headers":["match","anomaly"]}`, `headers[1]: "anomaly" is not there yet`},
		{`{"headers":["Match"]}`, `headers[0]: "Match" is not one of match, latency, size, flow`},
		{`{"headers":["match","size","match"]}`, `headers[2]: "match" is there twice`},
		{`{"expose":"none"}`, `expose: "\"none\"" is not one of upstream, client, both`},
		{`{"expose":true}`, `expose: "true" is not one of upstream, client, both`},
		{`{"expose":null}`, `expose: "null" is not one of upstream, client, both`},
		{`{"format":"json"}`, `format: "\"json\"" is not one of headers, dictionary`},
		{`{"format":["headers"]}`, `format: "[\"headers\"]" is not one of headers, dictionary`},
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
	if len(log.lines) != 1 || log.lines[0]["error"] != wrong+want || log.lines[0]["level"] != "error" {
		t.Errorf("%.80s: logged\n%v, want\n%s", text, log.lines, wrong+want)
	}
	r := newRequest(tupleField(), "X-Packet: forged")
	p.RequestFilter(conf, nil, r)
	checkFields(t, text, owned(r.header.Header), map[string]string{"x-packet-match": "none;reason=config"})
}

// TestHugeConf: a message is short, however long what it complains of.
func TestHugeConf(t *testing.T) {
	huge := strings.Repeat("x", 1<<20)
	for _, text := range []string{
		huge, `{"` + huge + `":1}`, `{"headers":["` + huge + `"]}`, `{"expose":"` + huge + `"}`, `{"prefix":"` + huge + `"}`,
		`{"headers":` + strings.Repeat("[", 1<<20) + `}`, `{} ` + huge,
	} {
		p, log := newInsight(t, newWire())
		_, err := p.ParseConf([]byte(text))
		if err != nil || len(log.lines) != 1 || len(log.lines[0]["error"]) > 400 {
			t.Errorf("%.40s...: %v, logged %d lines", text, err, len(log.lines))
		}
	}
}

// FuzzParseConf: whatever a configuration is, it is taken, or logged and told on every call; a right one tells its match.
func FuzzParseConf(f *testing.F) {
	f.Add(`{"headers":["match","latency","size","flow"],"expose":"both","prefix":"x-net-","format":"dictionary"}`)
	f.Add(`{"headers":["match"]} x`)
	f.Fuzz(func(t *testing.T, text string) {
		p, log := newInsight(t, newWire())
		conf, err := p.ParseConf([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		r := newRequest(tupleField())
		p.RequestFilter(conf, nil, r)
		if failed := len(log.lines) > 0; failed != (r.header.Get("X-Packet-Match") == "none;reason=config") {
			t.Fatalf("%q: logged %v, headers %v", text, log.lines, r.header)
		}
	})
}
