package bpf

import (
	"slices"

	"fivetuple/correlator/flow"
)

// modelFlow is a connection in the flow table.
type modelFlow struct {
	conn      modelConn
	exchanges []modelExchange // the last four; the last is the current one
	number    uint32          // of the current exchange
	answered  bool
	reopened  bool

	duplicates uint16
}

type modelExchange struct {
	flow.Exchange
	last [2]uint64 // Last as it was, 0: none
}

// newModelFlow starts a record with what was counted of the handshake. Data of the SYN is exchange 1.
func newModelFlow(half *modelConn, t *holeTable) *modelFlow {
	f := &modelFlow{conn: *half, exchanges: make([]modelExchange, 1, 2)}
	f.conn.State, f.conn.tracked = flow.StateOpen, t
	for dir := range f.conn.Dir {
		d := &f.conn.Dir[dir]
		switch {
		case f.conn.knows(dir, flow.KnownISN):
			f.exchanges[0].Seq[dir] = d.ISN + 1
		case f.conn.knows(dir, flow.KnownSeq):
			f.exchanges[0].Seq[dir] = d.DataHigh
		}
	}
	rx := &f.conn.Dir[flow.RX]
	if rx.DataPackets == 0 || !f.conn.knows(flow.RX, flow.KnownISN) {
		return f
	}
	tx := &f.conn.Dir[flow.TX]
	size := uint16(min((rx.Payload+uint64(rx.DataHeaders))/uint64(rx.DataPackets), 0xffff))
	f.number = 1
	e := modelExchange{last: [2]uint64{f.conn.SYN}, Exchange: flow.Exchange{
		RXMin: size, RXMax: size, Payload: [2]uint64{0, tx.Payload},
		Packets: [2]uint32{0, tx.DataPackets}, Headers: [2]uint32{0, tx.DataHeaders},
		Seq: [2]uint32{rx.ISN + 1, tx.DataHigh},
	}}
	if f.conn.SYN != 0 {
		e.First[flow.RX] = flow.StampOf(f.conn.SYN)
		e.Last[flow.RX] = e.First[flow.RX]
		e.last[flow.RX] = max(e.last[flow.RX], 16)
	}
	f.exchanges = append(f.exchanges, e)
	return f
}

// segment counts a segment.
func (f *modelFlow) segment(p *wirePacket) Reason {
	if !f.conn.owns(p) {
		return OtherInterface
	}
	was := f.conn.Dir
	n := f.conn.segment(p)
	if n.forged && p.has(syn) {
		return RecordedFlow
	}
	if n.start && f.number <= 1 { // with all its payload still to come
		for i := range f.exchanges {
			f.exchanges[i].Seq[p.dir] = n.dataStart
		}
	}
	if p.payload > 0 {
		f.exchange(p, n, &was)
	}
	if !n.forged {
		f.conn.time(p, n)
		f.told(p)
	}
	return RecordedFlow
}

// exchange takes a segment with payload to the current exchange, or to a new one: the first rx data, and then the first
// after tx data.
func (f *modelFlow) exchange(p *wirePacket, n news, was *[2]flow.Direction) {
	switch {
	case n.data && p.dir == flow.TX:
		f.answered = true
	case n.data && (f.answered || f.number == 0):
		f.answered = false
		f.number++
		e := modelExchange{Exchange: flow.Exchange{Seq: [2]uint32{n.dataStart, was[flow.TX].DataHigh}}}
		for dir, d := range was {
			e.Payload[dir], e.Packets[dir], e.Headers[dir] = d.Payload, d.DataPackets, d.DataHeaders
		}
		f.exchanges = append(f.exchanges, e)
		f.exchanges = f.exchanges[max(0, len(f.exchanges)-flow.Exchanges):]
	}
	e := &f.exchanges[len(f.exchanges)-1]
	if us := e.since(p); n.old && us >= 100_000 { // a probe comes sooner than half of Linux's shortest time-out
		f.conn.Dir[p.dir].Waited += uint16(us / 1000)
	}
	if p.dir == flow.RX {
		takeSizes(e, p)
	}
	if e.First[p.dir].IsZero() {
		e.First[p.dir] = flow.StampOf(p.now)
	}
	e.Last[p.dir], e.last[p.dir] = flow.StampOf(p.now), p.now
}

// since returns the microseconds from the direction's last payload, to 16 ns; 0 if there was none.
func (e *modelExchange) since(p *wirePacket) uint64 {
	last := e.last[p.dir]
	if last == 0 || p.now <= last {
		return 0
	}
	return (p.now&^15 - last&^15) / 1000
}

// takeSizes takes what is kept of rx segments: the largest gap between two, to 16 ns, and the sizes.
func takeSizes(e *modelExchange, p *wirePacket) {
	if gap := e.since(p); gap > 0 {
		e.RXGapUS = uint32(max(uint64(e.RXGapUS), min(gap, 1<<32-1)))
	}
	last := p.payload - (p.count()-1)*p.segment
	smallest, largest := uint16(min(p.headers+last, 0xffff)), uint16(min(p.headers+p.segment, 0xffff))
	e.RXMax = max(e.RXMax, largest)
	if e.RXMin == 0 || smallest < e.RXMin {
		e.RXMin = smallest
	}
}

// time takes round-trip times of two tx segments: one that is timed until it is acknowledged, and always the newest; of none
// while something is sent again (Karn). Of an acknowledgement of both the longer one is smoothed, the shorter the minimum.
func (c *modelConn) time(p *wirePacket, n news) {
	t, high, now := &c.rtt, c.Dir[flow.TX].SeqHigh, max(uint32(p.now/1000), 1)
	switch {
	case p.dir == flow.TX && n.old:
		t.Sent, t.Newest = 0, 0
	case p.dir == flow.TX && n.ahead && !p.has(syn):
		t.Newest = now
		if t.Sent == 0 {
			t.Sent, t.Seq = now, high
		}
	case p.dir == flow.RX && p.has(ack) && !p.has(rst):
		var took []uint32
		if t.Sent != 0 && !below(p.ack, t.Seq) {
			took = append(took, now-t.Sent)
			t.Sent = 0
		}
		if t.Newest != 0 && p.ack == high {
			took = append(took, now-t.Newest)
			t.Newest = 0
		}
		took = slices.DeleteFunc(took, func(us uint32) bool { return us >= 1<<31 }) // a clock that ran backwards
		if len(took) > 0 {
			c.sample(uint64(took[0]), uint64(took[len(took)-1]))
		}
	}
}

// timeHandshake takes the handshake's round trip, if what this host sent of it went out once.
func (c *modelConn) timeHandshake() {
	tx := &c.Dir[flow.TX]
	sent, answered := c.SYN, c.SYNACK
	if tx.Flags&ack != 0 { // this host answered
		sent, answered = c.SYNACK, c.ACK
	}
	if sent != 0 && answered > sent && tx.Retransmitted == 0 {
		us := (answered - sent) / 1000
		c.sample(us, us)
	}
}

// sample follows RFC 6298, 2. Times are microseconds.
func (c *modelConn) sample(us, shortest uint64) {
	const most = 0x0fff_ffff // 268 s
	r, s := uint32(min(max(us, 1), most)), uint32(min(max(shortest, 1), most))
	t := &c.rtt
	if t.MinUS == 0 || s < t.MinUS {
		t.MinUS = s
	}
	if t.SmoothedUS8 == 0 {
		t.SmoothedUS8, t.VarUS4 = r*8, r*4/2
		return
	}
	off := int64(r) - int64(t.SmoothedUS8/8)
	t.SmoothedUS8 = uint32(int64(t.SmoothedUS8) + off)
	t.VarUS4 = uint32(int64(t.VarUS4) + max(off, -off) - int64(t.VarUS4/4))
}

// record returns what the kernel is to hold.
func (f *modelFlow) record() flow.Record {
	r := flow.Record{Conn: f.conn.Conn, RTT: f.conn.rtt, Exchange: f.number, Duplicates: f.duplicates}
	if f.answered {
		r.Answered = 1
	}
	if f.reopened {
		r.Reopened = 1
	}
	oldest := f.number + 1 - uint32(len(f.exchanges))
	for i, e := range f.exchanges {
		r.Ring[(oldest+uint32(i))%flow.Exchanges] = e.Exchange
	}
	return r
}
