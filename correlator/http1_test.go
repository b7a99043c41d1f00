package correlator_test

import (
	"testing"
)

func TestHTTP1(t *testing.T) {
	playAll(t, []scenario{
		{"keep-alive", nil, []step{
			rx(300), ask(300, 0, "exchange;n=1 1/300"), tx(900),
			rx(200), ask(200, 0, "exchange;n=2 1/200"), tx(900),
			rx(250), ask(250, 0, "exchange;n=3 1/250"), tx(900),
			rx(300), ask(300, 0, "exchange;n=4 1/300"), tx(900),
			rx(300), ask(300, 0, "exchange;n=5 1/300"),
		}},
		{"several packets", nil, []step{
			rx(1448, 1448, 104), ask(3000, 0, "exchange;n=1 3/3000"), tx(1448, 1448),
			rx(1448, 552), ask(400, 1600, "exchange;n=2 2/2000"),
		}},
		{"upload under way, and again when it is complete", nil, []step{
			rx(300), ask(300, 5000, "exchange;n=1;partial 1/300"),
			rx(1448), askAgain("exchange;n=1;partial 2/1748"),
			rx(1448, 1448, 656), askAgain("exchange;n=1 5/5300"), tx(200),
			rx(100), ask(100, 0, "exchange;n=2 1/100"),
		}},
		{"upload that ends after its plugin ran", nil, []step{
			rx(300), ask(300, 5000, "exchange;n=1;partial 1/300"), rx(1448, 1448, 1448, 656), tx(200),
			rx(100), ask(100, 0, "exchange;n=2 1/100"),
		}},
		{"100-continue", nil, []step{
			rx(200), ask(200, 1000, "exchange;n=1;partial 1/200"), tx(25),
			rx(1000), askAgain("exchange;n=1 2/1200"), tx(300),
			rx(150), ask(150, 0, "exchange;n=3 1/150"),
		}},
		{"chunked", nil, []step{
			rx(200, 500), askChunked(200, "exchange;n=1;length=unknown 2/700"), rx(500), tx(300),
			rx(150), ask(150, 0, "exchange;n=2 1/150"), tx(300),
			rx(150, 350), ask(150, 1000, "exchange;n=3;partial 2/500"),
		}},
		{"chunked behind a 100", nil, []step{
			rx(200), askChunked(200, "exchange;n=1;length=unknown 1/200"), tx(25), rx(700), tx(300),
			rx(150), ask(150, 0, "exchange;n=3 1/150"),
		}},
		{"chunked twice", nil, []step{
			rx(200, 500), askChunked(200, "exchange;n=1;length=unknown 2/700"), tx(300),
			rx(100, 500), askChunked(100, "exchange;n=2;length=unknown 2/600"),
		}},
		{"retransmitted bytes count, but are not the request's length", nil, []step{
			rx(300), func(s *script) { s.m.again(300) }, ask(300, 0, "exchange;n=1 2/600"),
		}},
	})
}

func TestHTTP1EarlyResponse(t *testing.T) {
	playAll(t, []scenario{
		{"early response, tail in the next call's exchange", nil, []step{
			rx(200, 300), ask(200, 1000, "exchange;n=1;partial 2/500"), tx(150),
			rx(700, 120), ask(120, 0, "shared;n=2;reason=early-response 2/820"), tx(300),
			rx(120), ask(120, 0, "exchange;n=3 1/120"),
		}},
		{"early response, tail in the packet of the next call", nil, []step{
			rx(200, 300), ask(200, 1000, "exchange;n=1;partial 2/500"), tx(150),
			rx(820), ask(120, 0, "shared;n=2;reason=early-response 1/820"), tx(300),
			rx(120), ask(120, 0, "exchange;n=3 1/120"),
		}},
		{"early response, tail before the response's end", nil, []step{
			rx(200, 300), ask(200, 1000, "exchange;n=1;partial 2/500"), tx(150), rx(700), tx(50),
			rx(120), ask(120, 0, "exchange;n=3 1/120"),
		}},
	})
}

func TestHTTP1Pipelined(t *testing.T) {
	playAll(t, []scenario{
		{"three in one packet", nil, []step{
			rx(600), ask(200, 0, "shared;n=1 1/600"), tx(300), ask(200, 0, "shared;n=1 1/600"), tx(300),
			ask(200, 0, "shared;n=1 1/600"), tx(300),
			rx(200), ask(200, 0, "exchange;n=2 1/200"),
		}},
		{"three in one burst", nil, []step{
			rx(200, 210, 220), ask(200, 0, "shared;n=1 3/630"), ask(210, 0, "shared;n=1 3/630"), ask(220, 0, "shared;n=1 3/630"),
			tx(900), rx(200), ask(200, 0, "exchange;n=2 1/200"),
		}},
		{"the second behind the first's plugin", nil, []step{
			rx(200), ask(200, 0, "exchange;n=1 1/200"), rx(200), tx(300), ask(200, 0, "shared;n=1 2/400"), tx(300),
			rx(200), ask(200, 0, "exchange;n=2 1/200"),
		}},
		{"the second behind the first's response", nil, []step{
			rx(200), ask(200, 0, "exchange;n=1 1/200"), tx(300), rx(200), tx(300), ask(200, 0, "exchange;n=2 1/200"),
		}},
		{"a head over two exchanges", nil, []step{
			rx(300), ask(200, 0, "shared;n=1 1/300"), tx(300), rx(150), ask(250, 0, "shared;n=1 2/450"), tx(300),
			rx(200), ask(200, 0, "exchange;n=3 1/200"),
		}},
		{"a body over two exchanges", nil, []step{
			rx(200, 300), ask(200, 0, "shared;n=1 2/500"), tx(300), rx(900), ask(200, 1000, "shared;n=1 3/1400"), tx(300),
			rx(200), ask(200, 0, "exchange;n=3 1/200"),
		}},
		{"an upload and a call", nil, []step{
			rx(200, 1000, 150), ask(200, 1000, "shared;n=1 3/1350"), tx(300), ask(150, 0, "shared;n=1 3/1350"), tx(300),
			rx(100), ask(100, 0, "exchange;n=2 1/100"),
		}},
		{"behind a chunked body", nil, []step{
			rx(900), askChunked(200, "exchange;n=1;length=unknown 1/900"), tx(300), ask(150, 0, "shared;n=1 1/900"), tx(300),
			rx(100), ask(100, 0, "exchange;n=2 1/100"),
		}},
	})
}

func TestHTTP1AfterGap(t *testing.T) {
	playAll(t, []scenario{
		{"missed=1", nil, []step{
			rx(200), ask(200, 0, "exchange;n=1 1/200"), tx(300), rx(210), pass(1), tx(300),
			rx(220), ask(220, 0, "exchange;n=3;missed=1 1/220"), tx(300),
			rx(200), ask(200, 0, "exchange;n=4 1/200"),
		}},
		{"missed=3", nil, []step{
			rx(200), ask(200, 0, "exchange;n=1 1/200"), tx(300),
			rx(210), tx(300), rx(220), tx(300), rx(230), tx(300), pass(3),
			rx(220), ask(220, 0, "exchange;n=5;missed=3 1/220"),
		}},
		{"more than the ring holds", nil, []step{
			rx(200), ask(200, 0, "exchange;n=1 1/200"), tx(300),
			rx(1), tx(1), rx(2), tx(1), rx(3), tx(1), rx(4), tx(1), rx(5), tx(1), pass(5),
			rx(220), ask(220, 0, "exchange;n=7;missed=5 1/220"),
		}},
		{"POST, complete", nil, []step{
			rx(200), ask(200, 0, "exchange;n=1 1/200"), tx(300), rx(210), pass(1), tx(300),
			rx(150, 1000), ask(150, 1000, "exchange;n=3;missed=1 2/1150"),
		}},
		{"POST, head alone", nil, []step{
			rx(200), ask(200, 0, "exchange;n=1 1/200"), tx(300), rx(210), pass(1), tx(300),
			rx(150), ask(150, 1000, "exchange;n=3;partial;missed=1 1/150"), tx(25), rx(1000), tx(300),
			rx(100), ask(100, 0, "exchange;n=5 1/100"),
		}},
		{"POST under way: its bytes or the missed call's", nil, []step{
			rx(200), ask(200, 0, "exchange;n=1 1/200"), tx(300), rx(210), pass(1), tx(300),
			rx(150, 500), ask(150, 1000, "shared;n=3;missed=1 2/650"), rx(500), askAgain("exchange;n=3;missed=1 3/1150"),
		}},
		{"a call behind one that is not exchange", nil, []step{
			rx(200), ask(200, 0, "exchange;n=1 1/200"), tx(300), rx(210), pass(1), tx(300),
			rx(150, 500), ask(150, 1000, "shared;n=3;missed=1 2/650"), rx(500), tx(300),
			rx(100), ask(100, 0, "exchange;n=4 1/100"),
		}},
		{"missed behind 100-continue", nil, []step{
			rx(200), ask(200, 1000, "exchange;n=1;partial 1/200"), tx(25), rx(1000), tx(300), rx(210), pass(1), tx(300),
			rx(220), ask(220, 0, "exchange;n=4;missed=1 1/220"),
		}},
		{"chunked", nil, []step{
			rx(200), ask(200, 0, "exchange;n=1 1/200"), tx(300), rx(210), pass(1), tx(300),
			rx(220), askChunked(220, "shared;n=3;missed=1 1/220"), tx(300), rx(100), ask(100, 0, "exchange;n=4 1/100"),
		}},
	})
}

func TestHTTP1PipelinedAfterGap(t *testing.T) {
	playAll(t, []scenario{
		{"pipelined with the missed call", nil, []step{
			rx(200), ask(200, 0, "exchange;n=1 1/200"), tx(300),
			rx(210, 220), pass(1), tx(300), ask(220, 0, "shared;n=2;missed=1 2/430"), tx(300),
			rx(100), ask(100, 0, "exchange;n=3 1/100"),
		}},
		{"upload pipelined with the missed call", nil, []step{
			rx(200), ask(200, 0, "exchange;n=1 1/200"), tx(300),
			rx(210, 220), pass(1), tx(300), ask(220, 5000, "shared;n=2;missed=1 2/430"),
		}},
		{"upload behind the tail of the missed call", nil, []step{
			rx(200), ask(200, 0, "exchange;n=1 1/200"), tx(300), rx(210), pass(1), tx(300),
			rx(400, 220), ask(220, 5000, "shared;n=3;missed=1 2/620"),
		}},
		{"fewer exchanges than calls: some were pipelined", nil, []step{
			rx(200), ask(200, 0, "exchange;n=1 1/200"), tx(300), rx(200, 200), pass(2), tx(300, 300),
			rx(200), ask(200, 0, "shared;n=3;missed=2 1/200"), tx(300), rx(200), ask(200, 0, "exchange;n=4 1/200"),
		}},
		{"all pipelined with the call before", nil, []step{
			rx(600), ask(200, 0, "shared;n=1 1/600"), tx(300), pass(1), tx(300), ask(200, 0, "shared;n=1;missed=1 1/600"),
		}},
	})
}

// TestHTTP1UnknownStart has calls of which it is not known where they begin: only a whole length tells.
func TestHTTP1UnknownStart(t *testing.T) {
	midstream := func() *model { return newMidstream(5000) }
	playAll(t, []scenario{
		{"first sight with calls before", nil, []step{
			rx(200), tx(300), rx(210), tx(300), pass(2),
			rx(220), ask(220, 0, "shared;n=3 1/220"), tx(300), rx(230), ask(230, 0, "exchange;n=4 1/230"),
		}},
		{"midstream, first call", midstream, []step{
			rx(220), ask(220, 0, "exchange;n=1 1/220"), tx(300), rx(230), ask(230, 0, "exchange;n=2 1/230"),
		}},
		{"midstream within the head", midstream, []step{
			rx(100), ask(220, 0, "shared;n=1 1/100"), tx(300), rx(230), ask(230, 0, "exchange;n=2 1/230"),
		}},
		{"midstream within the body", midstream, []step{
			rx(700), ask(220, 5000, "shared;n=1 1/700"), rx(700), tx(300), rx(230), ask(230, 0, "exchange;n=2 1/230"),
		}},
		{"midstream, calls before", midstream, []step{
			pass(4), rx(220), ask(220, 0, "shared;n=1 1/220"), tx(300), rx(230), ask(230, 0, "exchange;n=2 1/230"),
		}},
		{"longer than the ring", nil, []step{
			rx(200), ask(200, 5000, "exchange;n=1;partial 1/200"), tx(25), rx(1000), tx(25), rx(1000), tx(25),
			rx(1000), askAgain("exchange;n=1;partial 4/3200"), tx(25), rx(1000), askAgain("shared;n=5 1/1000"), rx(1000), tx(300),
			rx(100), ask(100, 0, "exchange;n=6 1/100"),
		}},
		{"no payload yet", nil, []step{
			ask(220, 0, "none;reason=unseen"), rx(220), askAgain("exchange;n=1 1/220"),
		}},
		{"chunked tail and an upload under way", nil, []step{
			rx(200), askChunked(200, "exchange;n=1;length=unknown 1/200"), tx(25), rx(700), tx(300),
			rx(150, 100), ask(150, 5000, "shared;n=2 3/950"), rx(4900), tx(300),
			rx(100), ask(100, 0, "exchange;n=4 1/100"),
		}},
		{"a first segment too short to show a request", nil, []step{
			rx(2, 900), ask(300, 5000, "shared;n=1 2/902"), rx(4398), askAgain("exchange;n=1 3/5300"), tx(300),
			rx(150, 100), ask(150, 5000, "exchange;n=2;partial 2/250"),
		}},
		{"the body behind a 100, or one as long of the call before", nil, []step{
			rx(200), askChunked(200, "exchange;n=1;length=unknown 1/200"), tx(25), rx(1000), tx(300),
			rx(200), ask(200, 1000, "shared;n=2 2/1200"), tx(25), rx(1000), tx(300), rx(150), ask(150, 0, "exchange;n=5 1/150"),
		}},
		{"an upload's head alone, behind a chunked tail", nil, []step{
			rx(200), askChunked(200, "exchange;n=1;length=unknown 1/200"), tx(25), rx(700), tx(300),
			rx(150), ask(150, 5000, "exchange;n=3;partial 1/150"),
		}},
	})
}

func TestHTTP1BehindProxyHeaders(t *testing.T) {
	playAll(t, []scenario{
		{"PROXY v1", nil, []step{
			first("PROXY TCP4 192.0.2.9 192.0.2.1 4711 80\r\n"),
			rx(240), ask(200, 0, "shared;n=1 1/240"), tx(300),
			rx(210), ask(210, 0, "exchange;n=2 1/210"), tx(300),
			rx(220, 100), ask(220, 900, "exchange;n=3;partial 2/320"),
		}},
		{"PROXY v2", nil, []step{
			first("\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c"),
			rx(28, 200), ask(200, 0, "shared;n=1 2/228"), tx(300), rx(210), ask(210, 0, "exchange;n=2 1/210"),
		}},
		{"PROXY and an upload under way", nil, []step{
			first("PROXY TCP4 192.0.2.9 192.0.2.1 4711 80\r\n"),
			rx(240), ask(200, 5000, "shared;n=1 1/240"),
		}},
		{"PROXY and TLS within", nil, []step{
			first("PROXY TCP4 192.0.2.9 192.0.2.1 4711 80\r\n"),
			rx(40, 517), tx(3000), rx(80, 222), ask(200, 5000, "shared;n=1 4/859"),
		}},
	})
}

func TestHTTP1EmptyLine(t *testing.T) {
	playAll(t, []scenario{
		{"behind a body, in a packet of its own", nil, []step{
			rx(200, 1000), ask(200, 1000, "exchange;n=1 2/1200"), rx(2), tx(300),
			rx(150), ask(150, 0, "exchange;n=2 1/150"), tx(300), rx(150), ask(150, 0, "exchange;n=3 1/150"),
		}},
		{"behind a body, in the body's packet", nil, []step{
			rx(200, 1002), ask(200, 1000, "shared;n=1 2/1202"), tx(300),
			rx(150), ask(150, 0, "exchange;n=2 1/150"), tx(300), rx(150), ask(150, 0, "exchange;n=3 1/150"),
		}},
		{"before a head", nil, []step{
			rx(200), ask(200, 0, "exchange;n=1 1/200"), tx(300),
			rx(152), ask(150, 0, "shared;n=2 1/152"), tx(300), rx(150), ask(150, 0, "exchange;n=3 1/150"),
		}},
	})
}

func TestHTTP1Sequence(t *testing.T) {
	const half = 1 << 31
	wraps := func() *model { return newModel(^uint32(0) - 250) }
	playAll(t, []scenario{
		{"wraps between calls", wraps, []step{
			rx(250), ask(250, 0, "exchange;n=1 1/250"), tx(300), rx(200), ask(200, 0, "exchange;n=2 1/200"), tx(300),
			rx(200), ask(200, 0, "exchange;n=3 1/200"),
		}},
		{"wraps within a call", wraps, []step{
			rx(200), ask(200, 0, "exchange;n=1 1/200"), tx(300), rx(200), ask(200, 100, "exchange;n=2;partial 1/200"), rx(100),
			askAgain("exchange;n=2 2/300"), tx(300), rx(200), ask(200, 0, "exchange;n=3 1/200"),
		}},
		{"wraps within pipelined calls", wraps, []step{
			rx(600), ask(200, 0, "shared;n=1 1/600"), ask(400, 0, "shared;n=1 1/600"), tx(300),
			rx(200), ask(200, 0, "exchange;n=2 1/200"),
		}},
		// Beyond 4 GiB the span says nothing more than that the body is under way.
		{"upload of 4 GiB and 1000 bytes", nil, []step{
			rx(300), ask(300, 1<<32+700, "exchange;n=1;partial 1/300"), rx(1400), askAgain("exchange;n=1;partial 2/1700"),
			rx(half-1700, half), askAgain("shared;n=1 4/4294967296"), rx(1000), askAgain("exchange;n=1;partial 5/4294968296"), tx(300),
			rx(200), ask(200, 0, "exchange;n=2 1/200"),
		}},
		{"upload of 3 GiB", nil, []step{
			rx(300), ask(300, 3<<30-300, "exchange;n=1;partial 1/300"), rx(half-300, half/2), tx(300),
			rx(200), ask(200, 0, "exchange;n=2 1/200"),
		}},
		{"a length that nobody can send", nil, []step{
			rx(300), ask(300, 1<<63-1, "exchange;n=1;partial 1/300"), rx(200), askAgain("exchange;n=1;partial 2/500"),
		}},
	})
}
