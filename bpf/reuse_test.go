package bpf

import (
	"testing"

	"fivetuple/correlator/flow"
)

// newClosedTalk is a connection that both sides have ended, or that one has reset.
func newClosedTalk(t *testing.T, reset bool) *talk {
	t.Helper()
	c := newOpenTalk(t)
	c.rxData(0, "GET")
	c.txData(0, "HTTP")
	if reset {
		c.rx(RecordedFlow, segment{flags: rst, seq: peerISN + 4})
		return c
	}
	c.tx(RecordedFlow, segment{flags: fin | ack, seq: hostISN + 5, ack: peerISN + 4})
	c.rx(RecordedFlow, segment{flags: fin | ack, seq: peerISN + 4, ack: hostISN + 6})
	return c
}

// TestReuseWithSameISN: behind both FINs, or a RST, a SYN opens a connection, also with the ISN of the last one.
func TestReuseWithSameISN(t *testing.T) {
	for _, reset := range []bool{false, true} {
		for _, host := range []uint32{hostISN, 700_000} {
			c := newClosedTalk(t, reset)
			c.at(5000).rx(RecordedHalfOpen, segment{flags: syn, seq: peerISN})
			c.at(5010).tx(RecordedHalfOpen, segment{flags: syn | ack, seq: host, ack: peerISN + 1})
			c.at(5300).rx(RecordedFlow, segment{flags: ack, seq: peerISN + 1, ack: host + 1})
			r := c.flow()
			rx := r.Conn.Dir[flow.RX]
			same(t, [4]uint64{r.Conn.ID, r.Conn.SYN, r.Conn.SYNACK, r.Conn.ACK}, [4]uint64{clockAt(5000), clockAt(5000), clockAt(5010), clockAt(5300)})
			same(t, [4]uint64{rx.Packets, rx.Payload, uint64(rx.Retransmitted), uint64(r.Conn.State)}, [4]uint64{2, 0, 0, uint64(flow.StateOpen)})
		}
	}
}

// TestSYNBehindBothFINs: a capture of several queues may have it so: it is the connection's own, which was not seen yet.
func TestSYNBehindBothFINs(t *testing.T) {
	c := newTalk(t)
	c.at(100).tx(RecordedHalfOpen, segment{flags: syn | ack, seq: hostISN, ack: peerISN + 1})
	c.at(200).rx(RecordedFlow, segment{flags: fin | ack, seq: peerISN + 1, ack: hostISN + 1})
	c.at(300).tx(RecordedFlow, segment{flags: fin | ack, seq: hostISN + 1, ack: peerISN + 2})
	c.at(400).rx(RecordedFlow, segment{flags: syn, seq: peerISN})
	same(t, c.flow().Conn.SYN, clockAt(400))
	c.at(500).rx(RecordedHalfOpen, segment{flags: syn, seq: peerISN})
}

// TestRepeatedSYNACKOfClosed: it repeats, as long as no SYN came.
func TestRepeatedSYNACKOfClosed(t *testing.T) {
	c := newClosedTalk(t, false)
	c.tx(RecordedFlow, segment{flags: syn | ack, seq: hostISN, ack: peerISN + 1})
	same(t, c.flow().Conn.Dir[flow.TX].Retransmitted, uint32(1))
}

// TestStrayOnOpenConnection: all that follows a stray SYN, or SYN-ACK, is the connection's, to its last segment.
func TestStrayOnOpenConnection(t *testing.T) {
	for name, stray := range map[string]segment{
		"SYN": {flags: syn, seq: 7_777_777}, "SYN-ACK": {flags: syn | ack, seq: 7_777_777, ack: 42},
		"SYN-ACK of its SYN": {flags: syn | ack, seq: 7_777_777, ack: hostISN + 1},
	} {
		for _, reset := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				c := newOpenTalk(t)
				c.rx(RecordedHalfOpen, stray)
				c.tx(RecordedFlow, segment{flags: ack, seq: hostISN + 1, ack: peerISN + 1}) // as RFC 9293, 3.10.7.4 has it
				c.rxData(0, "GET")
				c.txData(0, "HTTP")
				if reset {
					c.tx(RecordedFlow, segment{flags: rst | ack, seq: hostISN + 5, ack: peerISN + 4})
					c.rx(RecordedFlow, segment{flags: ack, seq: peerISN + 4, ack: hostISN + 5}) // was under way
				} else {
					c.tx(RecordedFlow, segment{flags: fin | ack, seq: hostISN + 5, ack: peerISN + 4})
					c.rx(RecordedFlow, segment{flags: fin | ack, seq: peerISN + 4, ack: hostISN + 6})
					c.tx(RecordedFlow, segment{flags: ack, seq: hostISN + 6, ack: peerISN + 5})
				}
				c.rx(RecordedFlow, segment{flags: rst, seq: peerISN + 5})
				same(t, c.halfOpen().Dir[flow.RX].Packets, uint64(1))
			})
		}
	}
}

// TestStraySYNACKOfThisHost: one with another ISN was captured behind the third step.
func TestStraySYNACKOfThisHost(t *testing.T) {
	c := newOpenTalk(t)
	c.tx(RecordedHalfOpen, segment{flags: syn | ack, seq: 90_000, ack: peerISN + 1})
	c.tx(RecordedFlow, segment{flags: fin | ack, seq: hostISN + 1, ack: peerISN + 1})
	c.rx(RecordedFlow, segment{flags: fin | ack, seq: peerISN + 1, ack: hostISN + 2})
	c.tx(RecordedFlow, segment{flags: fin | ack, seq: hostISN + 1, ack: peerISN + 2})
	c.tx(RecordedFlow, segment{flags: ack, seq: hostISN + 2, ack: peerISN + 2})
	c.rx(RecordedFlow, segment{flags: ack, seq: peerISN + 2, ack: hostISN + 2})
}

// TestConnectOnClosed: this host opens the next connection; what is left of the last one is not of that.
func TestConnectOnClosed(t *testing.T) {
	c := newClosedTalk(t, false)
	c.tx(RecordedHalfOpen, segment{flags: syn, seq: 300_000})
	c.rx(RecordedFlow, segment{flags: ack, seq: peerISN + 5, ack: hostISN + 6}) // TIME-WAIT answers (RFC 9293, 3.10.7.4)
	c.tx(RecordedFlow, segment{flags: rst, seq: hostISN + 6})
	c.tx(RecordedHalfOpen, segment{flags: syn, seq: 300_000})
	c.rx(RecordedHalfOpen, segment{flags: rst | ack, ack: 300_001})
}

// TestRefusedSYNOnClosed: the RST that refuses the next connection is not of the last one.
func TestRefusedSYNOnClosed(t *testing.T) {
	c := newClosedTalk(t, false)
	before := c.flow()
	c.rx(RecordedHalfOpen, segment{flags: syn, seq: 70_000})
	c.tx(RecordedHalfOpen, segment{flags: rst | ack, ack: 70_001})
	c.rx(RecordedHalfOpen, segment{flags: syn, seq: 80_000})
	c.rx(RecordedHalfOpen, segment{flags: rst, seq: 80_001}) // the peer takes it back
	same(t, c.flow().Conn, before.Conn)
}

// TestRSTWithText: text behind a RST is no payload of a connection that nobody has opened (RFC 9293, 3.5.3).
func TestRSTWithText(t *testing.T) {
	c := newTalk(t, midstreamAny)
	c.rx(RecordedHalfOpen, segment{flags: syn, seq: peerISN})
	c.rx(RecordedHalfOpen, segment{flags: rst, seq: peerISN + 1, payload: "timed out"})
	c.tx(RecordedHalfOpen, segment{flags: rst | ack, ack: peerISN + 1, payload: "no"})
	if c.hasFlow() {
		t.Error("a RST made a record")
	}
}

// TestPayloadBeforeThirdStep: it is timed like any other, also against its being sent again (Karn).
func TestPayloadBeforeThirdStep(t *testing.T) {
	for _, again := range []bool{false, true} {
		c := newTalk(t)
		c.at(0).rx(RecordedHalfOpen, segment{flags: syn, seq: peerISN})
		c.at(10).tx(RecordedHalfOpen, segment{flags: syn | ack, seq: hostISN, ack: peerISN + 1})
		hello := segment{flags: psh | ack, seq: hostISN + 1, ack: peerISN + 1, payload: "220 hello"}
		c.at(40).tx(RecordedHalfOpen, hello)
		hello.seq += 9
		c.at(100).tx(RecordedHalfOpen, hello)
		want := uint32(500)
		if again {
			c.at(300).tx(RecordedHalfOpen, hello)
			want = 0
		}
		c.at(600).rx(RecordedFlow, segment{flags: ack, seq: peerISN + 1, ack: hostISN + 19})
		r := c.flow().RTT
		same(t, [3]uint32{r.MinUS, r.Sent, r.Newest}, [3]uint32{want, 0, 0})
	}
}
