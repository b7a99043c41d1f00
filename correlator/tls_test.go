package correlator_test

import (
	"testing"

	"fivetuple/correlator/flow"
)

// What a connection's payload begins with.
const (
	clientHello  = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
	http2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
)

// hello is a full TLS 1.3 handshake up to the server's flight.
func hello(s *script) {
	s.m.first = clientHello
	s.play(rx(517), tx(1400, 1400))
}

func TestTLS(t *testing.T) {
	playAll(t, []scenario{
		{"Finished and request, then tickets", nil, []step{
			hello, rx(80, 222), tx(255, 255), ask(200, 0, "exchange;n=2;tls;handshake 2/302"), tx(500),
			rx(222), ask(200, 0, "exchange;n=3;tls 1/222"), tx(500), rx(232), ask(210, 0, "exchange;n=4;tls 1/232"),
		}},
		{"Finished, tickets, request", nil, []step{
			hello, rx(80), tx(255, 255), rx(222), ask(200, 0, "exchange;n=2;tls;handshake 2/302"), tx(500),
			rx(222), ask(200, 0, "exchange;n=4;tls 1/222"),
		}},
		{"Finished, a ticket, request, a ticket", nil, []step{
			hello, rx(80), tx(255), rx(222), tx(255), ask(200, 0, "exchange;n=2;tls;handshake 2/302"), tx(500),
			rx(222), ask(200, 0, "exchange;n=4;tls 1/222"),
		}},
		{"TLS 1.2", nil, []step{
			hello, rx(126), tx(51), rx(229), ask(200, 0, "exchange;n=2;tls;handshake 2/355"), tx(500),
			rx(229), ask(200, 0, "exchange;n=4;tls 1/229"),
		}},
		{"asked again", nil, []step{
			hello, rx(80, 222), ask(200, 0, "exchange;n=2;tls;handshake 2/302"), askAgain("exchange;n=2;tls;handshake 2/302"),
			tx(500), rx(222), ask(200, 900, "exchange;n=3;tls 1/222"), rx(922), askAgain("exchange;n=3;tls 2/1144"),
		}},
		{"gap", nil, []step{
			hello, rx(80, 222), ask(200, 0, "exchange;n=2;tls;handshake 2/302"), tx(500), rx(222), pass(1), tx(500),
			rx(333), ask(311, 0, "exchange;n=4;tls;missed=1 1/333"), tx(500), rx(222), ask(200, 0, "exchange;n=5;tls 1/222"),
		}},
		{"pipelined", nil, []step{
			hello, rx(80, 222), ask(200, 0, "exchange;n=2;tls;handshake 2/302"), tx(500),
			rx(444), ask(200, 0, "exchange;n=3;tls 1/444"), ask(200, 0, "shared;n=3;tls 1/444"), tx(900),
			rx(222), ask(200, 0, "exchange;n=4;tls 1/222"),
		}},
		{"pipelined over a gap", nil, []step{
			hello, rx(80, 666), ask(200, 0, "exchange;n=2;tls;handshake 2/746"), pass(1), ask(200, 0, "shared;n=2;tls;missed=1 2/746"),
		}},
		{"first sight with calls before", nil, []step{
			hello, rx(80, 222), tx(500), rx(222), pass(1), ask(200, 0, "shared;n=3;tls 1/222"), tx(500),
			rx(222), ask(200, 0, "exchange;n=4;tls 1/222"),
		}},
		{"first call, midstream", func() *model { return newMidstream(5000) }, []step{
			hello, rx(80, 222), ask(200, 0, "shared;n=2;tls 2/302"), tx(500), rx(222), ask(200, 0, "exchange;n=3;tls 1/222"),
		}},
		{"early data: the call is in the handshake's exchange", nil, []step{
			first(clientHello), rx(517, 222), ask(200, 0, "shared;n=1;tls;handshake 2/739"), tx(1400),
			rx(80), tx(500), rx(222), ask(200, 0, "exchange;n=2;tls 2/302"),
		}},
		{"longer than the ring", nil, []step{
			hello, rx(80), tx(1), rx(1), tx(1), rx(1), tx(1), rx(1), tx(1), rx(222), ask(200, 0, "shared;n=6;tls;handshake 1/222"),
		}},
		{"body behind a 100 and the next call", nil, []step{
			hello, rx(80, 222), ask(200, 0, "exchange;n=2;tls;handshake 2/302"), tx(500),
			rx(222), ask(200, 1e6, "exchange;n=3;tls 1/222"), tx(47), rx(16000, 16000), tx(300),
			rx(222), ask(200, 0, "shared;n=5;tls 1/222"), tx(300), rx(222), ask(200, 0, "exchange;n=6;tls 1/222"),
		}},
		{"body behind the tickets and the next call", nil, []step{
			hello, rx(80, 222), tx(255), askChunked(200, "exchange;n=2;tls;handshake 2/302"), rx(900), tx(300),
			rx(222), ask(200, 0, "shared;n=4;tls 1/222"), tx(300), rx(222), ask(200, 0, "exchange;n=5;tls 1/222"),
		}},
	})
}

func TestHTTP2OverTLS(t *testing.T) {
	s := newScript(t, newModel(modelISN))
	s.http2 = true
	s.play(
		hello, rx(80, 110), ask(60, 0, "connection;tls 3/707"), askAgain("connection;tls 3/707"),
		rx(50), ask(30, 0, "connection;tls 4/757"), pass(3), tx(900), rx(50), ask(30, 0, "connection;tls 5/807"),
	)
	if s.asked != 1 {
		t.Errorf("HTTP2 was asked %d times, want once a connection", s.asked)
	}
}

func TestHTTP2StreamsInAnyOrder(t *testing.T) {
	s := newScript(t, newModel(modelISN))
	s.http2 = true
	s.play(hello, rx(80, 110), pass(4), ask(60, 0, "connection;tls 3/707"))
	for _, n := range []uint64{3, 1, 4, 2} {
		s.call.Requests = n
		s.match("connection;tls 3/707")
	}
	if s.asked != 1 {
		t.Errorf("HTTP2 was asked %d times, want once a connection", s.asked)
	}
}

func TestHTTP2IsAskedOnceOverTLS(t *testing.T) {
	s := newScript(t, newModel(modelISN))
	s.play(
		hello, rx(80, 222), ask(200, 0, "exchange;n=2;tls;handshake 2/302"), tx(500),
		rx(222), ask(200, 0, "exchange;n=3;tls 1/222"),
	)
	if s.asked != 1 {
		t.Errorf("HTTP2 was asked %d times, want once a connection", s.asked)
	}
}

func TestHTTP2ByPreface(t *testing.T) {
	s := newScript(t, newModel(modelISN))
	s.play(
		first(http2Preface), rx(24, 60), ask(40, 0, "connection 2/84"), tx(100), rx(50), ask(30, 0, "connection 3/134"),
	)
	if s.asked != 0 {
		t.Errorf("HTTP2 was asked %d times under cleartext", s.asked)
	}
}

func TestHTTP2IsNotAskedUnderCleartext(t *testing.T) {
	for _, payload := range []string{"GET / HTTP/1.1\r\n", "PROXY TCP4 1.2.3.4", "\x00\x01\x02"} {
		s := newScript(t, newModel(modelISN))
		s.m.first = payload
		s.play(rx(200), ask(200, 0, "exchange;n=1 1/200"))
		if s.asked != 0 {
			t.Errorf("%q: HTTP2 was asked %d times", payload, s.asked)
		}
	}
}

func TestTLSWithoutAnHTTP2Func(t *testing.T) {
	s := newScript(t, newModel(modelISN))
	s.call.HTTP2 = nil
	s.play(hello, rx(80, 222), ask(200, 0, "exchange;n=2;tls;handshake 2/302"))
}

// TestHTTP2Figures: the connection's, as many bytes as came with payload.
func TestHTTP2Figures(t *testing.T) {
	s := newScript(t, newModel(modelISN))
	s.m.first = http2Preface
	s.m.rx(24, 60)
	s.call.Requests = 1
	got := s.cor.Match(s.m.now, s.call).Size
	if want := (flow.Span{Packets: 2, Bytes: 84 + 2*modelHeaders, Payload: 84}); got.Span != want {
		t.Errorf("got %+v, want %+v", got.Span, want)
	}
}
