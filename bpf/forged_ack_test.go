package bpf

import (
	"testing"

	"fivetuple/correlator/flow"
)

// TestForgedACKGivesNoFigure: the peer acknowledges what was never sent: RFC 9293, 3.10.7.4 drops that.
func TestForgedACKGivesNoFigure(t *testing.T) {
	for name, forged := range map[string]segment{
		"by a byte":         {flags: ack, seq: peerISN + 4, ack: hostISN + 6},
		"by a megabyte":     {flags: ack, seq: peerISN + 4, ack: hostISN + 1_000_000},
		"with payload":      {flags: psh | ack, seq: peerISN + 4, ack: hostISN + 6, payload: "x"},
		"with FIN":          {flags: fin | ack, seq: peerISN + 4, ack: hostISN + 6},
		"half the space":    {flags: ack, seq: peerISN + 4, ack: hostISN + 5 + 1<<31 - 1},
		"with a SACK block": {flags: ack, seq: peerISN + 4, ack: hostISN + 9, options: sackBlock(hostISN+1, hostISN+5)},
	} {
		t.Run(name, func(t *testing.T) {
			c := newOpenTalk(t)
			c.at(2000).rxData(0, "GET")
			c.at(3000).txData(0, "HTTP")
			before := c.flow()
			c.at(3010).rx(RecordedFlow, forged)
			r := c.flow()
			same(t, r.RTT, before.RTT)
			rx := r.Conn.Dir[flow.RX]
			same(t, [2]uint32{rx.AckHigh, rx.Acked}, [2]uint32{before.Conn.Dir[flow.RX].AckHigh, before.Conn.Dir[flow.RX].Acked})
			same(t, rx.Packets, before.Conn.Dir[flow.RX].Packets+1)
			same(t, r.Duplicates, uint16(0))
			c.at(4500).rx(RecordedFlow, segment{flags: ack, seq: peerISN + 4, ack: hostISN + 5})
			r = c.flow()
			same(t, [2]uint32{r.RTT.MinUS, r.Conn.Dir[flow.RX].AckHigh}, [2]uint32{1000, hostISN + 5})
			same(t, r.Conn.Dir[flow.RX].Acked, ackedAt(4500))
		})
	}
}

func sackBlock(start, end uint32) []byte {
	b := []byte{1, 1, 5, 10}
	for _, edge := range []uint32{start, end} {
		b = append(b, byte(edge>>24), byte(edge>>16), byte(edge>>8), byte(edge))
	}
	return b
}

// TestForgedACKIsNoThirdStep: neither of an open connection whose record began with the SYN-ACK, nor while it is half-open.
func TestForgedACKIsNoThirdStep(t *testing.T) {
	c := newTalk(t)
	c.at(0).rx(RecordedHalfOpen, segment{flags: syn, seq: peerISN, payload: "GET"})
	c.at(10).tx(RecordedFlow, segment{flags: syn | ack, seq: hostISN, ack: peerISN + 4}) // TCP Fast Open
	c.at(20).rx(RecordedFlow, segment{flags: ack, seq: peerISN + 4, ack: hostISN + 2})
	same(t, c.flow().Conn.ACK, uint64(0))
	c.at(900).rx(RecordedFlow, segment{flags: ack, seq: peerISN + 4, ack: hostISN + 1})
	same(t, c.flow().Conn.ACK, clockAt(900))
}

// TestForgedACKMovesNoInterface: it is not ahead of anything.
func TestForgedACKMovesNoInterface(t *testing.T) {
	c, _, second := newMovingTalk(t)
	c.link = second
	c.rx(OtherInterface, segment{flags: ack, seq: peerISN + 1, ack: hostISN + 1000})
	same(t, c.flow().Conn.Moved, uint16(0))
}

// TestSYNACKOfAnotherSYN: it does not acknowledge this host's SYN, so that it is no second step (RFC 9293, 3.10.7.3).
func TestSYNACKOfAnotherSYN(t *testing.T) {
	for _, number := range []uint32{0, hostISN, hostISN + 2, hostISN + 1_000_000} {
		c := newTalk(t)
		c.at(0).tx(RecordedHalfOpen, segment{flags: syn, seq: hostISN})
		c.at(10).rx(RecordedHalfOpen, segment{flags: syn | ack, seq: 777, ack: number})
		half := c.halfOpen()
		same(t, [2]uint64{half.SYNACK, half.Dir[flow.RX].Packets}, [2]uint64{0, 1})
		same(t, half.Dir[flow.RX].Known, uint8(0))
		c.at(900).rx(RecordedFlow, segment{flags: syn | ack, seq: peerISN, ack: hostISN + 1})
		c.at(905).tx(RecordedFlow, segment{flags: ack, seq: hostISN + 1, ack: peerISN + 1})
		r := c.flow()
		same(t, [2]uint64{r.Conn.SYNACK, r.Conn.ACK}, [2]uint64{clockAt(900), clockAt(905)})
		same(t, [2]uint32{r.RTT.MinUS, r.Conn.Dir[flow.RX].ISN}, [2]uint32{900, peerISN})
	}
}

// TestHonestACKAbove: of segments that were not seen, or counted without their sequence numbers, the ACK counts.
func TestHonestACKAbove(t *testing.T) {
	above := segment{flags: ack, seq: peerISN + 1, ack: hostISN + 501}
	for name, c := range map[string]struct {
		tx    func(c *talk)
		found func(t *testing.T) *talk
	}{
		"no tx is seen": {func(*talk) {}, newMidstreamTalk},
		"tx met the lock": {func(c *talk) {
			release := c.hold()
			c.tx(Contended, segment{flags: psh | ack, seq: hostISN + 1, ack: peerISN + 1, payload: text(500)})
			release()
		}, openTalk},
		"tx met the lock, then an ACK": {func(c *talk) {
			release := c.hold()
			c.tx(Contended, segment{flags: psh | ack, seq: hostISN + 1, ack: peerISN + 1, payload: text(500)})
			release()
			c.tx(RecordedFlow, segment{flags: ack, seq: hostISN + 501, ack: peerISN + 1})
		}, openTalk},
		"tx data was not seen, then an ACK": {func(c *talk) {
			c.tx(RecordedFlow, segment{flags: ack, seq: hostISN + 501, ack: peerISN + 1})
		}, openTalk},
		"tx lacks a segment": {func(c *talk) { c.txData(100, text(50)) }, openTalk},
		"first tx is a keep-alive": {func(c *talk) {
			c.tx(RecordedFlow, segment{flags: ack, seq: hostISN + 500, ack: peerISN + 1})
		}, newMidstreamTalk},
		"first tx is sent again": {func(c *talk) { c.txData(0, text(100)) }, newMidstreamTalk},
	} {
		t.Run(name, func(t *testing.T) {
			k := c.found(t)
			c.tx(k)
			k.at(9000).rx(RecordedFlow, above)
			same(t, k.flow().Conn.Dir[flow.RX].AckHigh, above.ack)
		})
	}
}

func openTalk(t *testing.T) *talk { t.Helper(); return newOpenTalk(t) }

// newMidstreamTalk is a connection that is found when the peer sends.
func newMidstreamTalk(t *testing.T) *talk {
	t.Helper()
	c := newTalk(t, midstreamAny)
	c.rx(RecordedFlow, segment{flags: ack, seq: peerISN + 1, ack: hostISN + 1})
	return c
}

// TestLackingEnds: once what is sent next was seen, an ACK above it is forged.
func TestLackingEnds(t *testing.T) {
	c := newOpenTalk(t)
	release := c.hold()
	c.tx(Contended, segment{flags: psh | ack, seq: hostISN + 1, ack: peerISN + 1, payload: text(500)})
	release()
	c.txData(0, text(600)) // sent again, and more
	c.rx(RecordedFlow, segment{flags: ack, seq: peerISN + 1, ack: hostISN + 5000})
	same(t, c.flow().Conn.Dir[flow.RX].AckHigh, uint32(hostISN+1))
	c.rx(RecordedFlow, segment{flags: ack, seq: peerISN + 1, ack: hostISN + 601})
	same(t, c.flow().Conn.Dir[flow.RX].AckHigh, uint32(hostISN+601))
}
