package correlator_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"fivetuple/correlator"
	"fivetuple/correlator/flow"
)

func TestTheSameCallTwice(t *testing.T) {
	playAll(t, []scenario{
		{"keep-alive", nil, []step{
			rx(200), ask(200, 0, "exchange;n=1 1/200"), askAgain("exchange;n=1 1/200"), tx(300),
			rx(210), ask(210, 0, "exchange;n=2 1/210"), askAgain("exchange;n=2 1/210"), askAgain("exchange;n=2 1/210"), tx(300),
			rx(220), ask(220, 0, "exchange;n=3 1/220"),
		}},
		{"the next one was pipelined meanwhile", nil, []step{
			rx(200), ask(200, 0, "exchange;n=1 1/200"), rx(210), askAgain("shared;n=1 2/410"), tx(300),
			ask(210, 0, "shared;n=1 2/410"), tx(300), rx(220), ask(220, 0, "exchange;n=2 1/220"),
		}},
		{"after a gap", nil, []step{
			rx(200), ask(200, 0, "exchange;n=1 1/200"), tx(300), rx(210), pass(1), tx(300),
			rx(220), ask(220, 0, "exchange;n=3;missed=1 1/220"), askAgain("exchange;n=3;missed=1 1/220"), tx(300),
			rx(230), ask(230, 0, "exchange;n=4 1/230"),
		}},
		{"first sight with calls before", nil, []step{
			pass(1), rx(200), tx(300), rx(210), ask(210, 0, "shared;n=2 1/210"), askAgain("shared;n=2 1/210"), tx(300),
			rx(220), ask(220, 0, "exchange;n=3 1/220"),
		}},
	})
}

func TestPortReuse(t *testing.T) {
	s := newScript(t, newModel(modelISN))
	s.play(rx(200), ask(200, 0, "exchange;n=1 1/200"), tx(300), rx(200), ask(200, 0, "exchange;n=2 1/200"))
	*s.m = *newModel(777_000)
	s.m.record.Conn.ID = 42
	s.call.Connection, s.call.Requests = 2, 0
	s.play(rx(150), ask(150, 0, "exchange;n=1 1/150"), tx(300), rx(160), ask(160, 0, "exchange;n=2 1/160"))
}

func TestPortReuseAsksForHTTP2Again(t *testing.T) {
	s := newScript(t, newModel(modelISN))
	s.http2 = true
	s.play(hello, rx(80, 110), ask(60, 0, "connection;tls 3/707"))
	*s.m = *newModel(777_000)
	s.m.record.Conn.ID = 42
	s.http2, s.call.Connection, s.call.Requests = false, 2, 0
	s.play(hello, rx(80, 222), ask(200, 0, "exchange;n=2;tls;handshake 2/302"))
	if s.asked != 2 {
		t.Errorf("HTTP2 was asked %d times on two connections", s.asked)
	}
}

// TestNewGenerationOfTheRecord: the record began anew, but the gateway's number is the same.
func TestNewGenerationOfTheRecord(t *testing.T) {
	s := newScript(t, newModel(modelISN))
	s.play(rx(200), ask(200, 0, "exchange;n=1 1/200"), tx(300))
	s.m.record.Conn.ID++
	s.play(rx(200), ask(200, 0, "shared;n=2 1/200"), tx(300), rx(200), ask(200, 0, "exchange;n=3 1/200"))
}

// TestNewSerialOnAnOldRecord: the gateway counts anew on a record with calls of its last count, first of all uploads.
func TestNewSerialOnAnOldRecord(t *testing.T) {
	for _, body := range []uint64{0, 100, 5000} {
		t.Run(fmt.Sprintf("body=%d", body), func(t *testing.T) {
			s := newScript(t, newModel(modelISN))
			s.play(rx(200), ask(200, 0, "exchange;n=1 1/200"), tx(300))
			s.call.Connection, s.call.Requests = 2, 0
			s.play(rx(200), ask(200, body, "shared;n=2 1/200"), rx(int(body)), tx(300))
			s.play(rx(210), ask(210, 0, "exchange;n=3 1/210"))
		})
	}
}

func TestRequestsGoBackwards(t *testing.T) {
	s := newScript(t, newModel(modelISN))
	s.play(rx(200), ask(200, 0, "exchange;n=1 1/200"), tx(300), rx(200), ask(200, 0, "exchange;n=2 1/200"), tx(300))
	s.call.Requests = 0
	s.play(
		rx(200), ask(200, 5000, "shared;n=3 1/200"), rx(5000), tx(300),
		rx(210), ask(210, 0, "exchange;n=4 1/210"),
	)
}

func TestTableErrors(t *testing.T) {
	for _, c := range []struct {
		err  error
		udp  bool
		want correlator.Reason
	}{
		{flow.ErrNoTable, true, correlator.ReasonPins},
		{flow.ErrLayout, true, correlator.ReasonLayout},
		{flow.ErrStale, true, correlator.ReasonStale},
		{flow.ErrBusy, true, correlator.ReasonBusy},
		{flow.ErrNotFound, false, correlator.ReasonUnknownFlow},
		{flow.ErrNotFound, true, correlator.ReasonQUIC},
		{errors.New("input/output error"), true, correlator.ReasonTable},
	} {
		for _, err := range []error{c.err, fmt.Errorf("look up flow: %w", c.err)} {
			s := newScript(t, newModel(modelISN))
			s.table.err, s.table.udp = err, c.udp
			got := s.cor.Match(s.m.now, s.call)
			if want := (correlator.Result{Reason: c.want, FlowID: flow.CommunityID(s.call.Key())}); got != want {
				t.Errorf("%v, udp %v: got %+v, want %+v", err, c.udp, got, want)
			}
		}
	}
}

// TestAnErrorChangesNothing: the call behind one that met an error is one behind a gap.
func TestAnErrorChangesNothing(t *testing.T) {
	fails := func(err error) step { return func(s *script) { s.table.err = err } }
	playAll(t, []scenario{{"busy once", nil, []step{
		rx(200), ask(200, 0, "exchange;n=1 1/200"), tx(300),
		fails(flow.ErrBusy), rx(210), ask(210, 0, "none;reason=busy"), tx(300),
		fails(nil), rx(220), ask(220, 0, "exchange;n=3;missed=1 1/220"),
	}}, {"busy, then found in the next phase", nil, []step{
		fails(flow.ErrBusy), rx(210), ask(210, 0, "none;reason=busy"), fails(nil), askAgain("exchange;n=1 1/210"),
	}}})
}

// contend is a segment that was counted without its place, because it met the record's lock too often.
func contend(dir int) step { return func(s *script) { s.m.record.Conn.Dir[dir].Contended++ } }

func TestContendedSegments(t *testing.T) {
	playAll(t, []scenario{
		{"of the client", nil, []step{
			rx(200), ask(200, 0, "exchange;n=1 1/200"), tx(300), contend(flow.RX), rx(210),
			ask(210, 0, "shared;n=2;reason=contended 1/210"), askAgain("shared;n=2;reason=contended 1/210"), tx(300),
			rx(220), ask(220, 0, "exchange;n=3 1/220"), tx(300), rx(230), ask(230, 0, "exchange;n=4 1/230"),
		}},
		{"of the gateway: a turn may be missing", nil, []step{
			rx(200), ask(200, 0, "exchange;n=1 1/200"), contend(flow.TX), rx(210), ask(210, 0, "shared;n=1;reason=contended 2/410"),
			tx(300), rx(220), ask(220, 0, "exchange;n=2 1/220"),
		}},
		{"before the next phase", nil, []step{
			rx(200), ask(200, 900, "exchange;n=1;partial 1/200"), contend(flow.RX), askAgain("shared;n=1;reason=contended 1/200"),
		}},
		{"folded in by the next writer", nil, []step{
			rx(200), ask(200, 0, "exchange;n=1 1/200"), tx(300), func(s *script) { s.m.record.Conn.Dir[flow.RX].Late = 1 << 48 },
			rx(210), ask(210, 0, "shared;n=2;reason=contended 1/210"), tx(300),
			func(s *script) { s.m.record.Conn.Dir[flow.RX].Late = 0 }, contend(flow.RX),
			rx(220), ask(220, 0, "exchange;n=3 1/220"),
		}},
		{"over TLS, with a body to come", nil, []step{
			hello, rx(80, 222), ask(200, 0, "exchange;n=2;tls;handshake 2/302"), tx(500), contend(flow.RX),
			rx(222), ask(200, 900, "shared;n=3;tls;reason=contended 1/222"), tx(47), rx(922), tx(300),
			rx(222), ask(200, 0, "shared;n=5;tls 1/222"),
		}},
	})
}

// manyConnections returns a table of n connections with one request each, and a call for each.
func manyConnections(n int) (*modelTable, []correlator.Call) {
	table, calls := newModelTable(), make([]correlator.Call, n)
	for i := range calls {
		calls[i] = correlator.Call{Tuple: correlator.Tuple{Connection: uint64(i), Requests: 1, RequestLength: 200}}
		calls[i].Peer, calls[i].Gateway = modelTuple(i)
		m := newModel(uint32(i) * 7919)
		m.rx(200)
		table.models[calls[i].Key()] = m
	}
	return table, calls
}

func TestForgottenConnectionsAreShared(t *testing.T) {
	table, calls := manyConnections(4 * testOptions().Connections)
	c := newCorrelator(t, table)
	for _, call := range calls {
		if got := describe(c.Match(1, call)); got != "exchange;n=1 1/200" {
			t.Fatalf("first calls: %s", got)
		}
	}
	counts := map[string]int{}
	for _, call := range calls {
		m := table.models[call.Key()]
		m.tx(300)
		m.rx(200)
		call.Requests = 2
		counts[describe(c.Match(m.now, call))]++
	}
	remembered := counts["exchange;n=2 1/200"]
	if remembered > testOptions().Connections || counts["shared;n=2 1/200"]+remembered != len(calls) {
		t.Errorf("second calls on %d connections: %v", len(calls), counts)
	}
}

// TestConnectionsInUseAreRemembered has half of Options.Connections: they are spread over shards by chance, and one may be
// full before all are.
func TestConnectionsInUseAreRemembered(t *testing.T) {
	table, calls := manyConnections(testOptions().Connections / 2)
	c := newCorrelator(t, table)
	for _, call := range calls {
		c.Match(1, call)
	}
	for _, call := range calls {
		m := table.models[call.Key()]
		m.tx(300)
		m.rx(200)
		call.Requests = 2
		if got := describe(c.Match(m.now, call)); got != "exchange;n=2 1/200" {
			t.Fatalf("%v: %s", call.Peer, got)
		}
	}
}

func TestManyConnectionsAtOnce(t *testing.T) {
	table, calls := manyConnections(64)
	c := newCorrelator(t, table)
	var wg sync.WaitGroup
	for i := range calls {
		wg.Go(func() {
			call := calls[i]
			m := table.models[call.Key()]
			for n := uint32(1); n <= 200; n++ {
				call.Requests = uint64(n)
				want := fmt.Sprintf("exchange;n=%d 1/200", n)
				if got := describe(c.Match(m.now, call)); got != want {
					t.Errorf("%v: got %s, want %s", call.Peer, got, want)
					return
				}
				m.tx(300)
				m.rx(200)
			}
		})
	}
	wg.Wait()
}

// TestOneConnectionAtOnce: the streams of an HTTP/2 connection are asked for in any order and at once.
func TestOneConnectionAtOnce(t *testing.T) {
	m := newModel(modelISN)
	m.first = clientHello
	m.rx(517)
	m.tx(1400)
	m.rx(300)
	table := newModelTable()
	var call correlator.Call
	call.Peer, call.Gateway = modelTuple(1)
	call.HTTP2 = func() bool { return true }
	table.models[call.Key()] = m
	c := newCorrelator(t, table)
	var wg sync.WaitGroup
	for n := range uint64(32) {
		wg.Go(func() {
			call := call
			for i := range uint64(100) {
				call.Requests = 1 + (n*31+i)%64
				if got := describe(c.Match(m.now, call)); got != "connection;tls 2/817" {
					t.Errorf("request %d: %s", call.Requests, got)
				}
			}
		})
	}
	wg.Wait()
}
