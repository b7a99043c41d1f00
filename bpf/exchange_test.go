package bpf

import (
	"fmt"
	"testing"

	"fivetuple/correlator/flow"
)

// exchangeAt returns an exchange that the record must hold.
func exchangeAt(t *testing.T, r *flow.Record, number uint32) *flow.Exchange {
	t.Helper()
	e, ok := r.At(number)
	if !ok {
		t.Fatalf("exchange %d is not in the record, whose current one is %d", number, r.Exchange)
	}
	return e
}

func wantExchange(t *testing.T, r flow.Record, number uint32) {
	t.Helper()
	if r.Exchange != number {
		t.Errorf("the current exchange is %d, want %d", r.Exchange, number)
	}
}

func TestExchange(t *testing.T) {
	c := newOpenTalk(t)
	c.at(2000).rxData(0, text(100))
	c.at(2500).rxData(100, text(40))
	c.at(2900).rxData(140, text(60))
	c.at(3000).txData(0, text(1000))
	c.at(3300).txData(1000, text(500))
	r := c.flow()
	wantExchange(t, r, 1)
	same(t, *exchangeAt(t, &r, 1), flow.Exchange{
		First: [2]flow.Stamp{stampAt(2000), stampAt(3000)}, Last: [2]flow.Stamp{stampAt(2900), stampAt(3300)},
		Seq: [2]uint32{peerISN + 1, hostISN + 1}, RXGapUS: 500, RXMin: 80, RXMax: 140,
	})
	same(t, r.Since(exchangeAt(t, &r, 1), flow.RX), flow.Span{Packets: 3, Bytes: 320, Payload: 200, Length: 200})
	same(t, r.Since(exchangeAt(t, &r, 1), flow.TX), flow.Span{Packets: 2, Bytes: 1580, Payload: 1500, Length: 1500})
	same(t, r.Since(exchangeAt(t, &r, 0), flow.TX), flow.Span{Packets: 2, Bytes: 1580, Payload: 1500, Length: 1500})
}

func TestExchangeTurnsWithNewRequest(t *testing.T) {
	c := newOpenTalk(t)
	c.at(2000).rxData(0, text(100))
	c.at(2100).txData(0, text(300))
	c.at(2200).rxData(100, text(70))
	r := c.flow()
	wantExchange(t, r, 2)
	same(t, *exchangeAt(t, &r, 2), flow.Exchange{
		First: [2]flow.Stamp{stampAt(2200)}, Last: [2]flow.Stamp{stampAt(2200)},
		Payload: [2]uint64{100, 300}, Packets: [2]uint32{1, 1}, Headers: [2]uint32{40, 40},
		Seq: [2]uint32{peerISN + 101, hostISN + 301}, RXMin: 110, RXMax: 110,
	})
	same(t, r.Since(exchangeAt(t, &r, 1), flow.RX), flow.Span{Packets: 2, Bytes: 250, Payload: 170, Length: 170})
}

func TestServerSpeaksFirst(t *testing.T) {
	c := newOpenTalk(t)
	c.at(2000).txData(0, "220 ready\r\n")
	r := c.flow()
	wantExchange(t, r, 0)
	same(t, r.Ring[0].First, [2]flow.Stamp{flow.TX: stampAt(2000)})
	c.at(3000).rxData(0, "EHLO\r\n")
	r = c.flow()
	wantExchange(t, r, 1)
	same(t, r.Since(exchangeAt(t, &r, 1), flow.TX), flow.Span{})
	same(t, r.Since(exchangeAt(t, &r, 0), flow.TX), flow.Span{Packets: 1, Bytes: 51, Payload: 11, Length: 11})
	same(t, r.Since(exchangeAt(t, &r, 0), flow.RX), flow.Span{Packets: 1, Bytes: 46, Payload: 6, Length: 6})
}

// TestExchangeDoesNotTurn feeds, after a request and its response, what is no new request.
func TestExchangeDoesNotTurn(t *testing.T) {
	end := uint32(peerISN + 101)
	for name, s := range map[string]segment{
		"pure ACK":                        {flags: ack, seq: end, ack: hostISN + 301},
		"keep-alive of no byte":           {flags: ack, seq: end - 1, ack: hostISN + 301},
		"keep-alive of one byte":          {flags: ack, seq: end - 1, ack: hostISN + 301, payload: "x"},
		"retransmission":                  {flags: psh | ack, seq: peerISN + 1, ack: hostISN + 1, payload: text(100)},
		"retransmission of the last half": {flags: psh | ack, seq: peerISN + 51, ack: hostISN + 1, payload: text(50)},
		"FIN":                             {flags: fin | ack, seq: end, ack: hostISN + 301},
		"RST":                             {flags: rst, seq: end},
		"RST with payload":                {flags: rst, seq: end, payload: "reason"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newOpenTalk(t)
			c.rxData(0, text(100))
			c.txData(0, text(300))
			c.rx(RecordedFlow, s)
			wantExchange(t, c.flow(), 1)
		})
	}
}

func TestPipeliningDoesNotTurn(t *testing.T) {
	c := newOpenTalk(t)
	c.rxData(0, text(100))
	c.rxData(100, text(100))
	c.txData(0, text(300))
	c.txData(300, text(300))
	r := c.flow()
	wantExchange(t, r, 1)
	same(t, r.Since(exchangeAt(t, &r, 1), flow.RX).Length, uint32(200))
}

func TestRepeatedResponseDoesNotAnswer(t *testing.T) {
	c := newOpenTalk(t)
	c.rxData(0, text(100))
	c.txData(0, text(300))
	c.rxData(100, text(100))
	c.txData(0, text(300)) // sent again: old data answers nothing
	c.rxData(200, text(100))
	wantExchange(t, c.flow(), 2)
}

func TestRetransmissionWithNewDataTurns(t *testing.T) {
	c := newOpenTalk(t)
	c.rxData(0, text(100))
	c.txData(0, text(300))
	c.rxData(0, text(150))
	r := c.flow()
	wantExchange(t, r, 2)
	span := r.Since(exchangeAt(t, &r, 2), flow.RX)
	same(t, span, flow.Span{Packets: 1, Bytes: 190, Payload: 150, Length: 50})
	same(t, r.Conn.Dir[flow.RX].Retransmitted, uint32(1))
}

func TestRingHoldsFour(t *testing.T) {
	c := newOpenTalk(t)
	const calls = 9
	for i := range calls {
		c.at(uint64(2000+100*i)).rxData(10*i, text(10))
		c.at(uint64(2050+100*i)).txData(20*i, text(20))
	}
	r := c.flow()
	wantExchange(t, r, calls)
	if r.Oldest() != calls-3 {
		t.Errorf("oldest is %d, want %d", r.Oldest(), calls-3)
	}
	for n := uint32(calls - 3); n <= calls; n++ {
		e := exchangeAt(t, &r, n)
		same(t, e.First, [2]flow.Stamp{stampAt(uint64(1900 + 100*n)), stampAt(uint64(1950 + 100*n))})
		same(t, r.Since(e, flow.RX).Length, 10*(calls-n+1))
		same(t, r.Since(e, flow.TX).Payload, uint64(20*(calls-n+1)))
	}
	if _, ok := r.At(calls - 4); ok {
		t.Error("the fifth last exchange is still there")
	}
}

func TestSequenceWraps(t *testing.T) {
	for _, isn := range []uint32{0xffffffff, 0xfffffffe, 0xffffff80, 0x7fffff80} {
		t.Run(fmt.Sprintf("%#x", isn), func(t *testing.T) {
			c := newTalk(t)
			c.at(0).open(isn, isn)
			for i := range uint32(4) {
				at := isn + 1 + 100*i
				c.at(uint64(2000+100*i)).rx(RecordedFlow, segment{flags: ack, seq: at, ack: at, payload: text(100)})
				c.at(uint64(2040+100*i)).tx(RecordedFlow, segment{flags: ack, seq: at, ack: at + 100, payload: text(100)})
			}
			r := c.flow()
			wantExchange(t, r, 4)
			for dir := range 2 {
				same(t, r.Since(exchangeAt(t, &r, 1), dir), flow.Span{Packets: 4, Bytes: 560, Payload: 400, Length: 400})
				same(t, [2]uint32{r.Conn.Dir[dir].Retransmitted, r.Conn.Dir[dir].SeqHigh}, [2]uint32{0, isn + 401})
			}
			same(t, r.RTT.MinUS, uint32(60))
		})
	}
}

// TestMidstreamBegins feeds a connection that is first seen in the middle, from either side.
func TestMidstreamBegins(t *testing.T) {
	for _, first := range []int{flow.RX, flow.TX} {
		c := newTalk(t, midstreamAny)
		if first == flow.TX {
			c.txData(0, text(10))
		}
		c.rxData(0, text(100))
		c.txData(10, text(50))
		r := c.flow()
		wantExchange(t, r, 1)
		e := exchangeAt(t, &r, 1)
		same(t, r.Since(e, flow.RX), flow.Span{Packets: 1, Bytes: 140, Payload: 100, Length: 100})
		same(t, r.Since(e, flow.TX), flow.Span{Packets: 1, Bytes: 90, Payload: 50, Length: 50})
	}
}

func TestFirstPayload(t *testing.T) {
	const all = "0123456789abcdefghij"
	for n := 1; n <= len(all); n++ {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			c := newOpenTalk(t)
			c.rxData(0, all[:n])
			c.txData(0, all[:n])
			c.rxData(n, "later")
			r := c.flow()
			for dir := range 2 {
				if got, want := string(r.Conn.Dir[dir].First()), all[:min(n, 16)]; got != want {
					t.Errorf("direction %d: got %q, want %q", dir, got, want)
				}
			}
		})
	}
}

func TestRTT(t *testing.T) {
	c := newOpenTalk(t) // a sample of 1000 microseconds
	c.at(2000).txData(0, text(100))
	c.at(2050).txData(100, text(100)) // not timed: neither the first nor the newest
	c.at(2060).txData(200, text(100))
	c.at(3900).rx(RecordedFlow, segment{flags: ack, seq: peerISN + 1, ack: hostISN + 100}) // does not cover the first
	c.at(4000).rx(RecordedFlow, segment{flags: ack, seq: peerISN + 1, ack: hostISN + 101})
	// RFC 6298: variance 3/4 x 500 + 1/4 x 1000, smoothed 7/8 x 1000 + 1/8 x 2000.
	rtt := c.flow().RTT
	same(t, [3]uint32{rtt.SmoothedUS8, rtt.VarUS4, rtt.MinUS}, [3]uint32{9000, 2500, 1000})
	c.at(4100).rx(RecordedFlow, segment{flags: ack, seq: peerISN + 1, ack: hostISN + 201})
	same(t, c.flow().RTT.SmoothedUS8, uint32(9000))
	c.at(4300).rx(RecordedFlow, segment{flags: ack, seq: peerISN + 1, ack: hostISN + 301})
	same(t, c.flow().RTT, flow.RoundTrip{Seq: hostISN + 101, SmoothedUS8: 9000 + 2240 - 1125, VarUS4: 2500 + 1115 - 625, MinUS: 1000})
}

// TestRTTOfBoth: an acknowledgement of the first and the newest says what Linux takes it to say (tcp_ack_update_rtt).
func TestRTTOfBoth(t *testing.T) {
	c := newOpenTalk(t)
	c.at(2000).txData(0, text(100))
	c.at(3500).txData(100, text(100))
	c.at(4000).rx(RecordedFlow, segment{flags: ack, seq: peerISN + 1, ack: hostISN + 201})
	rtt := c.flow().RTT
	same(t, [2]uint32{rtt.SmoothedUS8, rtt.MinUS}, [2]uint32{8000 + 2000 - 1000, 500})
}

func TestRTTOfFIN(t *testing.T) {
	c := newOpenTalk(t)
	c.at(2000).tx(RecordedFlow, segment{flags: fin | ack, seq: hostISN + 1, ack: peerISN + 1})
	c.at(2400).rx(RecordedFlow, segment{flags: ack, seq: peerISN + 1, ack: hostISN + 2})
	same(t, c.flow().RTT.MinUS, uint32(400))
}

func TestRTTMinimum(t *testing.T) {
	c := newOpenTalk(t)
	c.at(2000).txData(0, text(100))
	c.at(2010).rx(RecordedFlow, segment{flags: ack, seq: peerISN + 1, ack: hostISN + 101})
	rtt := c.flow().RTT
	same(t, [2]uint32{rtt.MinUS, rtt.SmoothedUS8}, [2]uint32{10, 8000 - 990})
}

func TestRTTBelowAMicrosecond(t *testing.T) {
	c := newOpenTalk(t)
	c.at(2000).txData(0, text(100))
	c.rx(RecordedFlow, segment{flags: ack, seq: peerISN + 1, ack: hostISN + 101})
	same(t, c.flow().RTT.MinUS, uint32(1))
}

// TestKarn: no sample from what was sent twice, nor from what was under way then.
func TestKarn(t *testing.T) {
	for name, again := range map[string]segment{
		"the timed segment": {flags: ack, seq: hostISN + 1, ack: peerISN + 1, payload: text(100)},
		"a part of it":      {flags: ack, seq: hostISN + 51, ack: peerISN + 1, payload: text(50)},
		"with new data":     {flags: ack, seq: hostISN + 1, ack: peerISN + 1, payload: text(300)},
	} {
		t.Run(name, func(t *testing.T) {
			c := newOpenTalk(t)
			before := c.flow().RTT
			c.at(2000).txData(0, text(100))
			c.at(2500).tx(RecordedFlow, again)
			c.at(2600).rx(RecordedFlow, segment{flags: ack, seq: peerISN + 1, ack: hostISN + 301})
			after := c.flow().RTT
			after.Seq = 0
			same(t, after, before)
		})
	}
}

func TestKeepAliveKeepsTiming(t *testing.T) {
	c := newOpenTalk(t)
	c.at(2000).txData(0, text(100))
	c.at(2200).tx(RecordedFlow, segment{flags: ack, seq: hostISN + 100, ack: peerISN + 1})
	c.at(2500).rx(RecordedFlow, segment{flags: ack, seq: peerISN + 1, ack: hostISN + 101})
	same(t, c.flow().RTT.MinUS, uint32(500))
}

func TestRSTIsNoSample(t *testing.T) {
	c := newOpenTalk(t)
	c.at(2000).txData(0, text(100))
	c.at(2001).rx(RecordedFlow, segment{flags: rst | ack, seq: peerISN + 1, ack: hostISN + 101})
	same(t, c.flow().RTT.MinUS, uint32(1000))
}

// TestRoundTripOfBackwardClock: an acknowledgement ends the timing also where it measures nothing.
func TestRoundTripOfBackwardClock(t *testing.T) {
	c := newOpenTalk(t)
	before := c.flow().RTT
	c.at(10_000).txData(0, text(10))
	c.at(9_900).rx(RecordedFlow, segment{flags: ack, seq: peerISN + 1, ack: hostISN + 11})
	c.at(60_000_000).rx(RecordedFlow, segment{flags: ack, seq: peerISN + 1, ack: hostISN + 11})
	after := c.flow().RTT
	same(t, [2]uint32{after.SmoothedUS8, after.MinUS}, [2]uint32{before.SmoothedUS8, before.MinUS})
}

// TestNewSYNOnAnotherInterface: another connection on the 5-tuple may come another way.
func TestNewSYNOnAnotherInterface(t *testing.T) {
	c := newTalk(t)
	c.link = 1
	c.rx(RecordedHalfOpen, segment{flags: syn, seq: 70_000})
	c.link = 2
	c.rx(RecordedHalfOpen, segment{flags: syn, seq: 1_000})
	same(t, c.halfOpen().Dir[flow.RX].Ifindex, uint32(2))
}

// TestWaited: a time-out is the time from a direction's last payload to such that is sent again, if it is as long as one.
func TestWaited(t *testing.T) {
	k := newOpenTalk(t)
	k.at(1_000).rxData(0, text(10))
	k.at(10_000).txData(0, text(100))
	k.at(210_999).txData(0, text(100)) // 200 ms
	k.at(310_900).txData(0, text(100)) // a probe: too soon for a time-out
	k.at(900_000).txData(100, text(100))
	k.at(900_500).rx(RecordedFlow, segment{flags: ack, seq: peerISN + 11, ack: hostISN + 101})
	k.at(1_000_001).txData(100, text(100))                                                       // 100 ms
	k.at(2_000_000).tx(RecordedFlow, segment{flags: ack, seq: hostISN + 101, ack: peerISN + 11}) // no payload
	k.at(3_000_000).rxData(20, text(10))                                                         // a new exchange
	k.at(3_300_000).rxData(10, text(10))                                                         // fills the hole
	k.at(4_000_000).txData(100, text(100))                                                       // an exchange without payload of the direction
	d := k.flow().Conn.Dir
	same(t, [2]uint16{d[flow.RX].Waited, d[flow.TX].Waited}, [2]uint16{300, 300})
	same(t, [2]uint32{d[flow.RX].OutOfOrder, d[flow.TX].Retransmitted}, [2]uint32{1, 4})
}
