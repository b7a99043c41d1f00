package plugins_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"fivetuple/correlator/flow"
)

// The header values of the wire's first call.
const (
	wireMatch   = "exchange;n=1"
	wireLatency = "23120;min=21800;handshake=23500;recv=100;wait=212"
	wireSize    = "1480;packets=2;payload=1376;min=428;max=1052"
)

func tupleField() string { return "X-Packet-Tuple: " + wireTuple }

func TestHeaders(t *testing.T) {
	flowID := fmt.Sprintf("%q", communityID())
	defaults := map[string]string{"x-packet-match": wireMatch, "x-packet-latency": wireLatency, "x-packet-size": wireSize}
	for _, c := range []struct {
		conf string
		want map[string]string
	}{
		{``, defaults},
		{`{}`, defaults},
		{" {\"expose\" : \"upstream\", \"format\":\"headers\", \"prefix\":\"x-packet-\"}\n", defaults},
		{`{"headers":["match"]}`, map[string]string{"x-packet-match": wireMatch}},
		{`{"headers":["latency"]}`, map[string]string{"x-packet-latency": wireLatency}},
		{`{"headers":["size"]}`, map[string]string{"x-packet-size": wireSize}},
		{`{"headers":["flow"]}`, map[string]string{"x-packet-flow": flowID}},
		{`{"headers":["flow","size","latency","match"]}`, map[string]string{
			"x-packet-match": wireMatch, "x-packet-latency": wireLatency, "x-packet-size": wireSize, "x-packet-flow": flowID,
		}},
		{`{"prefix":"x-net-"}`, map[string]string{"x-net-match": wireMatch, "x-net-latency": wireLatency, "x-net-size": wireSize}},
		{`{"format":"dictionary"}`, map[string]string{
			"x-packet": "match=" + wireMatch + ", latency=" + wireLatency + ", size=" + wireSize,
		}},
		{`{"format":"dictionary","headers":["flow","size"],"prefix":"x-net-"}`, map[string]string{
			"x-net": "size=" + wireSize + ", flow=" + flowID,
		}},
	} {
		r := newRequest(tupleField(), "Accept: */*")
		filter(t, newWire(), c.conf, r)
		checkFields(t, c.conf, owned(r.header.Header), c.want)
		if r.header.Get("Accept") != "*/*" || r.response != nil || len(r.asked) != 0 {
			t.Errorf("%s: Accept %q, response %v, asked %v", c.conf, r.header.Get("Accept"), r.response, r.asked)
		}
	}
}

func TestExpose(t *testing.T) {
	want := map[string]string{"x-packet-match": wireMatch, "x-packet-latency": wireLatency, "x-packet-size": wireSize}
	for _, c := range []struct {
		expose             string
		upstream, response map[string]string
	}{
		{"upstream", want, nil},
		{"client", nil, want},
		{"both", want, want},
	} {
		r := newRequest(tupleField(), "X-Packet-Match: forged")
		filter(t, newWire(), `{"expose":"`+c.expose+`"}`, r)
		checkFields(t, c.expose+", upstream", owned(r.header.Header), c.upstream)
		checkFields(t, c.expose+", client", owned(r.response), c.response)
	}
}

func TestMatchHeader(t *testing.T) {
	preface := func(w *wire) {
		w.record.Conn.Dir[flow.RX].FirstLen = uint8(copy(w.record.Conn.Dir[flow.RX].FirstPayload[:], "PRI * HTTP/2.0\r\n"))
	}
	hello := func(w *wire) {
		w.record.Conn.Dir[flow.RX].FirstLen = uint8(copy(w.record.Conn.Dir[flow.RX].FirstPayload[:], "\x16\x03\x01"))
	}
	nothing := func(*wire) {}
	for _, c := range []struct {
		name   string
		change func(*wire)
		fields []string
		want   string
	}{
		{"exchange", nothing, nil, "exchange;n=1"},
		{"partial", nothing, []string{"Content-Length: 5000"}, "exchange;n=1;partial"},
		{"chunked", nothing, []string{"Transfer-Encoding: chunked"}, "exchange;n=1;length=unknown"},
		{"a transfer coding wins", nothing, []string{"Transfer-Encoding: gzip, chunked", "Content-Length: 1"}, "exchange;n=1;length=unknown"},
		{"a length that is none", nothing, []string{"Content-Length: +7"}, "exchange;n=1;length=unknown"},
		{"a length that is too long", nothing, []string{"Content-Length: 9223372036854775808"}, "exchange;n=1;length=unknown"},
		{"pipelined", func(w *wire) { w.record.Conn.Dir[flow.RX].DataHigh += 9 }, nil, "shared;n=1"},
		{"HTTP/2", preface, nil, "connection"},
		{"TLS", func(w *wire) { hello(w); w.exchange("", 300) }, nil, "exchange;n=2;tls;handshake"},
		{"no record", func(w *wire) { w.err = flow.ErrNotFound }, nil, "none;reason=unknown-flow"},
		{"QUIC", func(w *wire) { w.err, w.udp = flow.ErrNotFound, true }, nil, "none;reason=quic"},
		{"no tables", func(w *wire) { w.err = flow.ErrNoTable }, nil, "none;reason=pins"},
		{"other layout", func(w *wire) { w.err = flow.ErrLayout }, nil, "none;reason=layout"},
		{"stale", func(w *wire) { w.err = flow.ErrStale }, nil, "none;reason=stale"},
		{"busy", func(w *wire) { w.err = flow.ErrBusy }, nil, "none;reason=busy"},
		{"table", func(w *wire) { w.err = errors.New("EIO") }, nil, "none;reason=table"},
		{"unseen", func(w *wire) { w.record = flow.Record{} }, nil, "none;reason=unseen"},
	} {
		w := newWire()
		c.change(w)
		r := newRequest(append(c.fields, tupleField())...)
		filter(t, w, `{"headers":["match"]}`, r)
		checkFields(t, c.name, owned(r.header.Header), map[string]string{"x-packet-match": c.want})
	}
}

// TestLaterCalls has what only later calls of a connection have; it is the example of the documentation.
func TestLaterCalls(t *testing.T) {
	w := newWire()
	p, _ := newInsight(t, w)
	conf, _ := p.ParseConf([]byte(`{"format":"dictionary"}`))
	last := func(requests int) string {
		r := newRequest("X-Packet-Tuple: " + strings.Replace(wireTuple, " 17 1 ", fmt.Sprintf(" 17 %d ", requests), 1))
		p.RequestFilter(conf, nil, r)
		return r.header.Get("X-Packet")
	}
	last(1)
	w.exchange("", 1376)
	last(2)
	w.exchange("", 1000, 376)
	if got, want := last(3), "match=exchange;n=3, latency="+wireLatency+", size="+wireSize; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	w.exchange("", 1)
	w.exchange("", 1000, 376)
	if got, want := last(5), "match=exchange;n=5;missed=1, latency="+wireLatency+", size="+wireSize; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestLatencyHeader(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*flow.Record)
		want   string
	}{
		{"no sample", func(r *flow.Record) { r.RTT = flow.RoundTrip{} }, "unknown;handshake=23500;recv=100;wait=212"},
		{"no sample, no handshake", func(r *flow.Record) { r.RTT, r.Conn.ACK = flow.RoundTrip{}, 0 }, "unknown;recv=100;wait=212"},
		{"minimum only", func(r *flow.Record) { r.RTT = flow.RoundTrip{MinUS: 7}; r.Conn.ACK = 0 }, "7;min=7;recv=100;wait=212"},
		{"no times", func(r *flow.Record) { r.Ring[1].First[flow.RX] = flow.Stamp{} }, "23120;min=21800;handshake=23500"},
		{
			"the longest times", func(r *flow.Record) {
				r.RTT = flow.RoundTrip{SmoothedUS8: ^uint32(0), MinUS: ^uint32(0)}
				r.Conn.SYNACK, r.Conn.ACK = 1, ^uint64(0)
			}, "536870911;min=4294967295;handshake=18446744073709551;recv=100;wait=212",
		},
	} {
		w := newWire()
		c.change(&w.record)
		r := newRequest(tupleField())
		filter(t, w, `{"headers":["latency"]}`, r)
		want := strings.ReplaceAll(c.want, "18446744073709551", "999999999999999") // the largest Integer of RFC 9651
		checkFields(t, c.name, owned(r.header.Header), map[string]string{"x-packet-latency": want})
	}
}

func TestSizeHeader(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*flow.Record)
		fields []string
		want   string
	}{
		{"partial", func(*flow.Record) {}, []string{"Content-Length: 9000"}, wireSize + ";partial"},
		{"packets of unknown size", func(r *flow.Record) { r.Ring[1].RXMin = 0 }, nil, "1480;packets=2;payload=1376"},
		{"the most", func(r *flow.Record) { r.Conn.Dir[flow.RX].Payload = 1 << 62 }, nil, "999999999999999;packets=2;payload=999999999999999;min=428;max=1052"},
	} {
		w := newWire()
		c.change(&w.record)
		r := newRequest(append(c.fields, tupleField())...)
		filter(t, w, `{"headers":["size"]}`, r)
		checkFields(t, c.name, owned(r.header.Header), map[string]string{"x-packet-size": c.want})
	}
}

// TestACallWithoutARecord has no figures: only its match, and its flow.
func TestACallWithoutARecord(t *testing.T) {
	all := `{"headers":["match","latency","size","flow"]}`
	w := newWire()
	w.err = flow.ErrNotFound
	r := newRequest(tupleField())
	filter(t, w, all, r)
	checkFields(t, "no record", owned(r.header.Header), map[string]string{
		"x-packet-match": "none;reason=unknown-flow", "x-packet-flow": fmt.Sprintf("%q", communityID()),
	})
	r = newRequest("X-Packet-Size: forged", "X-Packet-Latency: forged", "X-Packet-Flow: forged")
	filter(t, newWire(), all, r)
	checkFields(t, "no tuple", owned(r.header.Header), map[string]string{"x-packet-match": "none;reason=tuple"})
}
