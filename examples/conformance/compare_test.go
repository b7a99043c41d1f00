package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// oracleText is an oracle of one TCP flow and one UDP flow.
const oracleText = `[
{"proto":"TCP","a_ip":"192.0.2.1","a_port":50000,"b_ip":"192.0.2.2","b_port":80,"agree":true,
 "a2b":{"packets":6,"l3_bytes":300,"payload_bytes":60,"flags_or":"0x01b","first_payload_hex":"474554"},
 "b2a":{"packets":4,"l3_bytes":200,"payload_bytes":40,"flags_or":"0x012","first_payload_hex":null},
 "exact":{
  "a2b":{"seq_old_full":1,"seq_old_partial":2,"win0_packets_no_syn_fin_rst":0,"keepalive_like":5},
  "b2a":{"seq_old_full":0,"seq_old_partial":0,"win0_packets_no_syn_fin_rst":7,"keepalive_like":0},
  "anomalies":{},"data_runs_newdata":{"a2b":2,"b2a":2},
  "handshake":{"syn_to_synack_us":1000.5,"synack_to_ack_us":null}}},
{"proto":"UDP","a_ip":"2001:db8::1","a_port":5353,"b_ip":"2001:db8::2","b_port":53,"agree":true,
 "a2b":{"packets":1,"l3_bytes":68,"payload_bytes":20,"first_payload_hex":"00"},
 "b2a":{"packets":0,"l3_bytes":0,"payload_bytes":0,"first_payload_hex":null},
 "exact":{"a2b":{},"b2a":{},"anomalies":{}}}
]`

const tcpLine = `{"proto":"tcp","local":"192.0.2.2","local_port":80,"remote":"192.0.2.1","remote_port":50000,"exchanges":2,` +
	`"rx":{"packets":6,"bytes":300,"payload_bytes":60,"flags":27,"retransmitted":2,"out_of_order":1,"zero_window":0,"keep_alive":5},` +
	`"tx":{"packets":4,"bytes":200,"payload_bytes":40,"flags":18,"retransmitted":0,"out_of_order":0,"zero_window":7,"keep_alive":0},` +
	`"handshake":{"syn_to_synack_us":1000.5,"synack_to_ack_us":null},"first_payload":{"rx":"474554","tx":""},"extra":1}`

const udpLine = `{"proto":"udp","local":"2001:db8::2","local_port":53,"remote":"2001:db8::1","remote_port":5353,` +
	`"rx":{"packets":1,"bytes":68,"payload_bytes":20},"tx":{},"first_payload":{"rx":"00","tx":""}}`

const closingLine = `{"reasons":{"recorded-flow":10,"recorded-udp":1},"frames":11}`

// compared returns what a comparison of made-up texts finds.
func compared(t *testing.T, oracle string, lines ...string) *result {
	t.Helper()
	want, err := decodeOracle(strings.NewReader(oracle))
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeReplay(strings.NewReader(strings.Join(append(lines, closingLine), "\n")))
	if err != nil {
		t.Fatal(err)
	}
	r := newResult()
	r.compareFlows("x.pcap", got, want)
	return r
}

// found returns the differences as short texts.
func (r *result) found() (texts []string) {
	for _, d := range r.differences {
		texts = append(texts, strings.TrimSpace(fmt.Sprintf("%s %s: %s, not %s", d.Figure, d.Direction, d.Replay, d.Oracle)))
	}
	return texts
}

func TestEqual(t *testing.T) {
	r := compared(t, oracleText, tcpLine, udpLine)
	if !r.equal() || r.flows != 2 {
		t.Fatalf("%d flows, differences %v", r.flows, r.found())
	}
	for name, want := range map[string]int{
		figureFlow: 2, figureSide: 2, "packets": 4, "first payload": 4, "flags": 2, "exchanges": 1, "SYN to SYN-ACK": 1,
	} {
		if got := *r.tallies[name]; got != (tally{want, want}) {
			t.Errorf("%s: %d of %d equal, want %d of %d", name, got.equal, got.compared, want, want)
		}
	}
}

// TestEveryFigureDiffers changes each figure of the replay in turn: only that one must be found.
func TestEveryFigureDiffers(t *testing.T) {
	for _, c := range []struct{ from, to, want string }{
		{`"packets":6`, `"packets":7`, "packets rx: 7, not 6"},
		{`"packets":4`, `"packets":3`, "packets tx: 3, not 4"},
		{`"bytes":300`, `"bytes":301`, "bytes rx: 301, not 300"},
		{`"payload_bytes":40`, `"payload_bytes":0`, "payload bytes tx: 0, not 40"},
		{`"flags":27`, `"flags":283`, "flags rx: 0x11b, not 0x01b"},
		{`"rx":"474554"`, `"rx":"4745"`, "first payload rx: 4745, not 474554"},
		{`"tx":""`, `"tx":"00"`, "first payload tx: 00, not none"},
		{`1000.5`, `1000.501`, "SYN to SYN-ACK : 1000.501 us, not 1000.500 us"},
		{`1000.5`, `null`, "SYN to SYN-ACK : none, not 1000.500 us"},
		{`"synack_to_ack_us":null`, `"synack_to_ack_us":0`, "SYN-ACK to ACK : 0.000 us, not none"},
		{`"zero_window":7`, `"zero_window":6`, "zero windows tx: 6, not 7"},
		{`"keep_alive":5`, `"keep_alive":0`, "keep-alives rx: 0, not 5"},
		{`"out_of_order":1`, `"out_of_order":0`, "retransmitted + out of order rx: 2, not 3"},
		{`"exchanges":2`, `"exchanges":1`, "exchanges : 1, not 2"},
	} {
		line := strings.Replace(tcpLine, c.from, c.to, 1)
		if line == tcpLine {
			t.Fatalf("%s is not in the line", c.from)
		}
		r := compared(t, oracleText, line, udpLine)
		if got := r.found(); !slices.Equal(got, []string{c.want}) {
			t.Errorf("%s: found %q, want %q", c.to, got, c.want)
		}
	}
}

// TestWrongSide: the figures are compared by direction all the same.
func TestWrongSide(t *testing.T) {
	turned := strings.NewReplacer(`"local"`, `"remote"`, `"remote"`, `"local"`, `"local_port"`, `"remote_port"`,
		`"remote_port"`, `"local_port"`, `"rx"`, `"tx"`, `"tx"`, `"rx"`).Replace(tcpLine)
	got := compared(t, oracleText, turned, udpLine).found()
	want := []string{"side : from 192.0.2.2:80, not from 192.0.2.1:50000"}
	if !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
}

// TestGenerations: several objects of a 5-tuple are one flow of the oracle.
func TestGenerations(t *testing.T) {
	first := `{"proto":"tcp","local":"192.0.2.2","local_port":80,"remote":"192.0.2.1","remote_port":50000,"exchanges":1,` +
		`"rx":{"packets":2,"bytes":100,"flags":1,"retransmitted":3},"tx":{"packets":4,"bytes":200,"payload_bytes":40,"flags":2},` +
		`"handshake":{"syn_to_synack_us":1000.5,"synack_to_ack_us":null},"first_payload":{"rx":"","tx":""}}`
	second := `{"proto":"tcp","local":"192.0.2.2","local_port":80,"remote":"192.0.2.1","remote_port":50000,"exchanges":1,` +
		`"rx":{"packets":4,"bytes":200,"payload_bytes":60,"flags":26,"keep_alive":5},"tx":{"flags":16,"zero_window":7},` +
		`"handshake":{"syn_to_synack_us":9,"synack_to_ack_us":null},"first_payload":{"rx":"474554","tx":""}}`
	if r := compared(t, oracleText, first, udpLine, second); !r.equal() {
		t.Errorf("found %q", r.found())
	}
	if r := compared(t, oracleText, second, udpLine, first); !slices.Equal(r.found(), []string{"SYN to SYN-ACK : 9.000 us, not 1000.500 us"}) {
		t.Errorf("the other way round: found %q, want the first one's handshake", r.found())
	}
}

// TestGenerationsOfOneRun: the oracle's run goes on where one generation ended with the peer's payload and the next begins
// with it.
func TestGenerationsOfOneRun(t *testing.T) {
	generation := func(first, last string) reading {
		return reading{exchanges: 2, turns: turns{first, last}}
	}
	for _, c := range []struct {
		generations []reading
		want        uint64
	}{
		{[]reading{generation("rx", "rx"), generation("rx", "tx")}, 3},
		{[]reading{generation("rx", "tx"), generation("rx", "tx")}, 4},
		{[]reading{generation("rx", "rx"), generation("tx", "tx")}, 4},
		{[]reading{generation("rx", "rx"), {}, generation("rx", "rx"), generation("rx", "tx")}, 4},
	} {
		sum := c.generations[0]
		for _, g := range c.generations[1:] {
			sum = sum.plus(g)
		}
		if sum.exchanges != c.want {
			t.Errorf("%+v: %d exchanges, want %d", c.generations, sum.exchanges, c.want)
		}
	}
}

func TestMissingFlow(t *testing.T) {
	r := compared(t, oracleText, udpLine)
	if got := r.found(); !slices.Equal(got, []string{"flow : no such flow, not there"}) {
		t.Errorf("found %q", got)
	}
	for name, want := range map[string]tally{figureFlow: {1, 2}, "packets": {2, 4}, "flags": {0, 2}, "exchanges": {0, 1}} {
		if got := *r.tallies[name]; got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}

func TestExtraFlow(t *testing.T) {
	r := compared(t, oracleText, tcpLine, udpLine, strings.Replace(udpLine, `"remote_port":5353`, `"remote_port":5354`, 1))
	if got := r.found(); !slices.Equal(got, []string{"flow : there, not no such flow"}) {
		t.Errorf("found %q", got)
	}
}

// TestUncertainFlows: they are not compared, but are no extra flows either.
func TestUncertainFlows(t *testing.T) {
	for _, c := range []struct{ from, to string }{
		{`"agree":true`, `"agree":false`}, {`"anomalies":{}`, `"anomalies":{"ip_len_gt_wire":1}`},
	} {
		r := compared(t, strings.Replace(oracleText, c.from, c.to, 1), strings.Replace(tcpLine, "300", "1", 1), udpLine)
		if !r.equal() || r.flows != 1 || r.uncertain != 1 {
			t.Errorf("%s: %d compared, %d left out, found %q", c.to, r.flows, r.uncertain, r.found())
		}
	}
	r := compared(t, strings.Replace(oracleText, `"anomalies":{}`, `"anomalies":{"snaplen_truncated":1}`, 1), tcpLine, udpLine)
	if r.flows != 2 {
		t.Error("a flow with another anomaly was left out")
	}
}

func TestCompareFrames(t *testing.T) {
	for name, c := range map[string]struct {
		closing string
		packets uint64
		want    []fault
	}{
		"all": {`{"reasons":{"recorded-udp":2,"not-ip":1},"frames":3}`, 3, nil},
		"one not taken": {
			`{"reasons":{"recorded-udp":2},"frames":3,"not_taken":[{"packet":2,"error":"too long"}]}`, 3,
			[]fault{{"x.pcap", 2, "too long"}},
		},
		"one without a reason": {
			`{"reasons":{"recorded-udp":2},"frames":3}`, 3,
			[]fault{{"x.pcap", 0, "the reasons add up to 2, accepted were 3 frames"}},
		},
		"one not read": {
			`{"reasons":{"recorded-udp":2},"frames":2}`, 3,
			[]fault{{"x.pcap", 0, "2 packets read, the capture has 3"}},
		},
	} {
		got, err := decodeReplay(strings.NewReader(c.closing))
		if err != nil {
			t.Fatal(err)
		}
		r := newResult()
		r.compareFrames("x.pcap", got.closing, c.packets)
		if !slices.Equal(r.faults, c.want) || r.equal() != (c.want == nil) {
			t.Errorf("%s: %+v, want %+v", name, r.faults, c.want)
		}
	}
}
