package correlator_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"fivetuple/correlator"
	"fivetuple/correlator/flow"
)

// ended returns what the records say of the calls that have ended: "request: match, first..last, packets in/out".
func ended(s *script) (texts *[]string, last *correlator.CallRecord) {
	s.t.Helper()
	texts, last = new([]string), new(correlator.CallRecord)
	cor, err := correlator.New(s.table, testOptions(), func(r *correlator.CallRecord) {
		*last = *r
		*texts = append(*texts, fmt.Sprintf("%d: %v, %d..%d, %d/%d", r.Requests, r.Match, r.First, r.Last, r.Request.Packets, r.Response.Packets))
	}, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.cor = cor
	return texts, last
}

func wantTexts(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestABodyBehindA100IsItsOwnCalls: over TLS the next call says that it may share its exchange, which takes none from the
// call before.
func TestABodyBehindA100IsItsOwnCalls(t *testing.T) {
	s := newScript(t, newModel(modelISN))
	texts, _ := ended(s)
	s.play(
		hello, rx(80, 222), ask(200, 0, "exchange;n=2;tls;handshake 2/302"), tx(500),
		rx(222), ask(200, 1e6, "exchange;n=3;tls 1/222"), tx(47), rx(16000, 16000), tx(300),
		rx(222), ask(200, 0, "shared;n=5;tls 1/222"), tx(300),
	)
	s.cor.Flush()
	wantTexts(t, *texts, []string{"1: exchange, 2..2, 2/1", "2: exchange, 3..4, 3/2", "3: shared, 5..5, 1/1"})
}

// TestStreamsOutOfOrder: calls over HTTP/2 are under way at once, and need not come in the order of their numbers. Each
// packet is in one record.
func TestStreamsOutOfOrder(t *testing.T) {
	s := newScript(t, newModel(modelISN))
	texts, _ := ended(s)
	look := func(number uint64) step {
		return func(s *script) {
			s.call.Requests = number
			s.cor.Match(s.m.now, s.call)
		}
	}
	s.play(
		first(http2Preface), rx(100), look(1), rx(30, 40), look(3), tx(500), look(2), look(3), tx(600), rx(50), look(2), look(4), tx(70),
	)
	s.cor.Flush()
	sum := 0
	for _, text := range *texts {
		var request, from, to, in, out int
		if _, err := fmt.Sscanf(text, "%d: connection, %d..%d, %d/%d", &request, &from, &to, &in, &out); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		sum += 100*in + out
	}
	if len(*texts) != 4 || sum != 403 {
		t.Errorf("%d records have %d packets in and %d out, want 4, 4, 3: %q", len(*texts), sum/100, sum%100, *texts)
	}
}

// TestALookThatWasOvertaken: between a stream's look-up and what follows, more came, and another stream or the sweep looked at it. No
// figure goes back.
func TestALookThatWasOvertaken(t *testing.T) {
	for name, overtakes := range map[string]func(s *script){
		"another stream": func(s *script) {
			next := s.call
			next.Requests++
			s.cor.Match(s.m.now, next)
		},
		"the sweep": func(s *script) {
			s.m.record.Conn.State = flow.StateClosed
			s.cor.Sweep(s.m.now + uint64(time.Minute))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t, newModel(modelISN))
			var in, out uint32
			cor, err := correlator.New(s.table, testOptions(), func(r *correlator.CallRecord) {
				in, out = in+r.Request.Packets, out+r.Response.Packets
				if r.Request.Packets > 4 || r.Response.Packets > 2 || r.Request.Retransmitted > 1 {
					t.Errorf("%d: %+v, %+v", r.Requests, r.Request, r.Response)
				}
			}, nil)
			if err != nil {
				t.Fatal(err)
			}
			s.cor = cor
			s.play(first(http2Preface), rx(100), ask(200, 0, "connection 1/100"), rx(30))
			s.table.after = func() {
				s.play(tx(500), rx(50))
				s.m.record.Conn.Dir[flow.RX].Retransmitted++
				overtakes(s)
			}
			s.play(ask(200, 0, "connection 3/180"), tx(70), rx(10))
			s.cor.Flush()
			if in != 4 || out != 2 {
				t.Errorf("the records have %d packets in and %d out, want 4 and 2", in, out)
			}
		})
	}
}

// TestAnOvertakenLookAtAConnectionThatIsGone has no record: the one that is there now is another connection's.
func TestAnOvertakenLookAtAConnectionThatIsGone(t *testing.T) {
	s := newScript(t, newModel(modelISN))
	s.play(rx(100), ask(100, 0, "exchange;n=1 1/100"), tx(500), rx(100))
	s.table.after = func() {
		*s.m = *newModel(modelISN + 1)
		s.m.record.Conn.ID++
		next := s.call
		next.Connection, next.Requests = 2, 1
		s.play(rx(100))
		s.cor.Match(s.m.now, next)
	}
	s.play(ask(100, 0, "none;reason=unknown-flow"))
}

// TestHTTP2SeenLate: what came before a runner's first look at a connection is in another runner's records.
func TestHTTP2SeenLate(t *testing.T) {
	s := newScript(t, newModel(modelISN))
	texts, _ := ended(s)
	s.play(first(http2Preface), rx(100), tx(500), rx(30), pass(1), ask(200, 0, "connection 2/130"), tx(500))
	s.cor.Flush()
	wantTexts(t, *texts, []string{"2: connection, 0..0, 0/1"})
}

// TestACallWithoutAResponse waited for its plugin, and nothing of it was acknowledged.
func TestACallWithoutAResponse(t *testing.T) {
	const waited = 5_000_000
	s := newScript(t, newModel(modelISN))
	_, last := ended(s)
	s.play(
		rx(100), ask(100, 0, "exchange;n=1 1/100"), tx(500), rx(100),
		func(s *script) {
			d := &s.m.record.Conn.Dir[flow.RX]
			d.Known |= flow.KnownAck
			d.AckHigh = s.m.next[flow.TX]
			s.m.now += waited
		},
		ask(100, 0, "exchange;n=2 1/100"),
	)
	s.cor.Flush()
	if last.At.Acknowledged != 0 || last.Split.Waiting < waited || last.Split.Waiting > waited+100 || last.Split.Total != last.Split.Waiting {
		t.Errorf("%+v of %+v", last.Split, last.At)
	}
}
