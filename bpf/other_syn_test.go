package bpf

import (
	"testing"

	"fivetuple/correlator/flow"
)

// TestStraySYNWhileHalfOpen: this host has answered the first SYN, and keeps it; it answers the other by an ACK.
func TestStraySYNWhileHalfOpen(t *testing.T) {
	for _, strays := range [][]uint32{{70_000}, {70_000, 70_000}, {70_000, 80_000, 70_000}, {peerISN + 1}, {peerISN - 1}} {
		c := newTalk(t)
		c.at(0).rx(RecordedHalfOpen, segment{flags: syn, seq: peerISN})
		c.at(5).tx(RecordedHalfOpen, segment{flags: syn | ack, seq: hostISN, ack: peerISN + 1})
		for _, isn := range strays {
			c.at(700).rx(RecordedHalfOpen, segment{flags: syn, seq: isn, payload: "stray"})
			c.at(701).tx(RecordedHalfOpen, segment{flags: ack, seq: hostISN + 1, ack: peerISN + 1})
		}
		c.at(800).tx(RecordedHalfOpen, segment{flags: syn | ack, seq: hostISN, ack: peerISN + 1})
		c.at(900).rx(RecordedFlow, segment{flags: ack, seq: peerISN + 1, ack: hostISN + 1})
		c.at(950).rxData(0, "GET")
		r := c.flow()
		rx, tx := r.Conn.Dir[flow.RX], r.Conn.Dir[flow.TX]
		same(t, [4]uint64{r.Conn.ID, r.Conn.SYN, r.Conn.SYNACK, r.Conn.ACK}, [4]uint64{clockAt(0), clockAt(0), clockAt(5), clockAt(900)})
		same(t, [5]uint32{rx.ISN, rx.SeqHigh, rx.Retransmitted, tx.Retransmitted, r.Exchange}, [5]uint32{peerISN, peerISN + 4, 0, 1, 1})
		same(t, [2]uint64{rx.Packets, tx.Packets}, [2]uint64{3 + uint64(len(strays)), 2 + uint64(len(strays))})
		same(t, string(rx.First()), "GET")
	}
}

// TestForgottenSYN: this host has given up the first SYN, as its SYN-ACK to another says.
func TestForgottenSYN(t *testing.T) {
	c := newTalk(t)
	c.at(0).rx(RecordedHalfOpen, segment{flags: syn, seq: peerISN})
	c.at(5).tx(RecordedHalfOpen, segment{flags: syn | ack, seq: hostISN, ack: peerISN + 1})
	c.at(700).rx(RecordedHalfOpen, segment{flags: syn, seq: 70_000})
	c.at(705).tx(RecordedHalfOpen, segment{flags: syn | ack, seq: 90_000, ack: 70_001})
	c.at(800).rx(RecordedHalfOpen, segment{flags: ack, seq: peerISN + 1, ack: hostISN + 1}) // of the one before
	c.at(950).rx(RecordedFlow, segment{flags: ack, seq: 70_001, ack: 90_001})
	r := c.flow()
	same(t, [4]uint64{r.Conn.ID, r.Conn.SYN, r.Conn.SYNACK, r.Conn.ACK}, [4]uint64{clockAt(700), clockAt(700), clockAt(705), clockAt(950)})
	same(t, [3]uint32{r.RTT.MinUS, r.Conn.Dir[flow.RX].ISN, r.Conn.Dir[flow.TX].ISN}, [3]uint32{245, 70_000, 90_000})
}

// TestForgottenSYNNotSeen: this host answers a SYN that is neither the first nor the last other one.
func TestForgottenSYNNotSeen(t *testing.T) {
	c := newTalk(t)
	c.at(0).rx(RecordedHalfOpen, segment{flags: syn, seq: peerISN})
	c.at(5).tx(RecordedHalfOpen, segment{flags: syn | ack, seq: hostISN, ack: peerISN + 1})
	c.at(700).tx(RecordedHalfOpen, segment{flags: syn | ack, seq: 90_000, ack: 70_001})
	c.at(950).rx(RecordedFlow, segment{flags: ack, seq: 70_001, ack: 90_001})
	r := c.flow()
	same(t, [4]uint64{r.Conn.ID, r.Conn.SYN, r.Conn.SYNACK, r.Conn.ACK}, [4]uint64{clockAt(700), 0, clockAt(700), clockAt(950)})
}

// TestUnansweredSYNs: the answer says which counts, also the first one's.
func TestUnansweredSYNs(t *testing.T) {
	for i, isn := range []uint32{peerISN, 70_000} {
		c := newTalk(t)
		c.at(0).rx(RecordedHalfOpen, segment{flags: syn, seq: peerISN})
		c.at(700).rx(RecordedHalfOpen, segment{flags: syn, seq: 70_000})
		c.at(705).tx(RecordedHalfOpen, segment{flags: syn | ack, seq: hostISN, ack: isn + 1})
		c.at(900).rx(RecordedFlow, segment{flags: ack, seq: isn + 1, ack: hostISN + 1})
		began := []uint64{clockAt(0), clockAt(700)}[i]
		r := c.flow()
		same(t, [4]uint64{r.Conn.ID, r.Conn.SYN, r.Conn.SYNACK, r.Conn.ACK}, [4]uint64{began, began, clockAt(705), clockAt(900)})
		same(t, [2]uint32{r.Conn.Dir[flow.RX].ISN, r.RTT.MinUS}, [2]uint32{isn, 195})
	}
}

// TestStraySYNOfAnotherInterface: it moves nothing.
func TestStraySYNOfAnotherInterface(t *testing.T) {
	c, first, second := newMovingTalk(t)
	c.tuple.remote, c.tuple.local = tuple6.remote, tuple6.local
	c.link = first
	c.rx(RecordedHalfOpen, segment{flags: syn, seq: peerISN})
	c.tx(RecordedHalfOpen, segment{flags: syn | ack, seq: hostISN, ack: peerISN + 1})
	c.link = second
	c.rx(OtherInterface, segment{flags: syn, seq: 70_000})
	c.link = first
	c.rx(RecordedFlow, segment{flags: ack, seq: peerISN + 1, ack: hostISN + 1})
}

// TestSYNACKsWithOtherISNs: the third step says which of them was taken. None gives a sample (Karn).
func TestSYNACKsWithOtherISNs(t *testing.T) {
	for name, c := range map[string]struct {
		isns []uint32
		took uint32
		sent uint64 // when it went out first
	}{
		"the last":           {[]uint32{5000, 6000}, 6000, 110},
		"the first":          {[]uint32{5000, 6000}, 5000, 100},
		"the first, lower":   {[]uint32{90_000, 6000}, 90_000, 100},
		"the last of three":  {[]uint32{5000, 6000, 7000}, 7000, 120},
		"the first of three": {[]uint32{5000, 6000, 7000}, 5000, 100},
		"in turns, first":    {[]uint32{5000, 6000, 5000}, 5000, 100},
		"in turns, second":   {[]uint32{5000, 6000, 5000}, 6000, 110},
	} {
		t.Run(name, func(t *testing.T) {
			k := newTalk(t)
			k.at(0).rx(RecordedHalfOpen, segment{flags: syn, seq: peerISN})
			for i, isn := range c.isns {
				k.at(100+10*uint64(i)).tx(RecordedHalfOpen, segment{flags: syn | ack, seq: isn, ack: peerISN + 1, options: []byte{2, 4, 5, 180}})
			}
			k.at(150).rx(RecordedHalfOpen, segment{flags: ack, seq: peerISN + 1, ack: 4000})
			k.at(200).rx(RecordedFlow, segment{flags: ack, seq: peerISN + 1, ack: c.took + 1})
			k.at(300).tx(RecordedFlow, segment{flags: psh | ack, seq: c.took + 1, ack: peerISN + 1, payload: "220 hello"})
			r := k.flow()
			tx := r.Conn.Dir[flow.TX]
			same(t, [3]uint64{r.Conn.SYN, r.Conn.SYNACK, r.Conn.ACK}, [3]uint64{clockAt(0), clockAt(c.sent), clockAt(200)})
			same(t, [3]uint32{tx.ISN, tx.SeqHigh, uint32(tx.SYNMSS)}, [3]uint32{c.took, c.took + 10, 1460})
			same(t, r.RTT.MinUS, uint32(0))
		})
	}
}
