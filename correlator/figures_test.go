package correlator_test

import (
	"testing"

	"fivetuple/correlator"
	"fivetuple/correlator/flow"
)

func TestFiguresOfACall(t *testing.T) {
	s := newScript(t, newModel(modelISN))
	s.play(rx(200), ask(200, 0, "exchange;n=1 1/200"), tx(300), rx(1448, 700, 52))
	s.call.Requests, s.call.RequestLength = 2, 2200
	got := s.cor.Match(s.m.now+212_999, s.call)
	want := correlator.Result{
		Match: correlator.MatchExchange, Number: 2,
		RTT:    correlator.RTT{Now: 2000, Min: 2000, Handshake: 2000},
		Timing: correlator.Timing{Known: true, Recv: 200, Wait: 212},
		Size: correlator.Size{
			Known: true, Min: 52 + modelHeaders, Max: 1448 + modelHeaders,
			Span: flow.Span{Packets: 3, Bytes: 2200 + 3*modelHeaders, Payload: 2200, Length: 2200},
		},
		FlowID: flow.CommunityID(s.call.Key()),
	}
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestRoundTrips(t *testing.T) {
	for _, c := range []struct {
		name string
		rtt  flow.RoundTrip
		want correlator.RTT
	}{
		{"none measured", flow.RoundTrip{}, correlator.RTT{Handshake: 2000}},
		{"minimum only", flow.RoundTrip{MinUS: 70}, correlator.RTT{Now: 70, Min: 70, Handshake: 2000}},
		{"smoothed", flow.RoundTrip{SmoothedUS8: 81, MinUS: 7}, correlator.RTT{Now: 10, Min: 7, Handshake: 2000}},
		{"below a microsecond", flow.RoundTrip{SmoothedUS8: 3, MinUS: 1}, correlator.RTT{Now: 1, Min: 1, Handshake: 2000}},
	} {
		s := newScript(t, newModel(modelISN))
		s.m.record.RTT = c.rtt
		s.play(rx(200))
		if got := s.cor.Match(s.m.now, s.call).RTT; got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
	}
}

// TestTimesInTheWrongOrder: the plugin's clock may be read before the packet's.
func TestTimesInTheWrongOrder(t *testing.T) {
	s := newScript(t, newModel(modelISN))
	s.m.record.Conn.ACK = s.m.record.Conn.SYNACK - 1
	s.m.rx(100, 100)
	got := s.cor.Match(s.m.now-1, s.call)
	if got.Timing != (correlator.Timing{Known: true, Recv: 100}) || got.RTT.Handshake != 0 {
		t.Errorf("got %+v, %+v", got.Timing, got.RTT)
	}
}

func TestMatchNames(t *testing.T) {
	for m, want := range map[correlator.Match]string{
		correlator.MatchNone: "none", correlator.MatchConnection: "connection",
		correlator.MatchShared: "shared", correlator.MatchExchange: "exchange",
	} {
		if m.String() != want {
			t.Errorf("%d is %s, want %s", m, m, want)
		}
	}
}
