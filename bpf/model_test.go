package bpf

import "fivetuple/correlator/flow"

// model is what the kernel program is to do, said again in Go from its definitions: bpf/record.h and the tests. It knows
// no sockets, and its half-open and UDP tables have no end.
type model struct {
	midstream bool // records connections that are older than it
	room      int  // of the flow table
	reasons   Reasons
	flows     map[flow.Key]*modelFlow
	halfOpen  map[flow.Key]*modelConn
	udp       map[flow.Key]*modelConn
}

// modelConn is a connection, with what the kernel need not remember.
type modelConn struct {
	flow.Conn
	start [2]uint32 // the first payload byte's sequence number, where Known says that there is one
}

func newModel(midstream bool, room int) *model {
	m := &model{midstream: midstream, room: room}
	m.forget()
	return m
}

// forget empties the tables.
func (m *model) forget() {
	m.flows = make(map[flow.Key]*modelFlow)
	m.halfOpen = make(map[flow.Key]*modelConn)
	m.udp = make(map[flow.Key]*modelConn)
}

// take counts a packet. It returns the 5-tuple, if the packet has one.
func (m *model) take(in *input) (key flow.Key, has bool) {
	p, reason := readPacket(in)
	if has = reason == RecordedFlow; has {
		if p.key.Proto == flow.UDP {
			reason = m.datagram(&p)
		} else {
			reason = m.segment(&p)
		}
	}
	m.reasons[in.dir][reason]++
	return p.key, has
}

func (m *model) datagram(p *wirePacket) Reason {
	c := m.udp[p.key]
	if c == nil {
		c = &modelConn{Conn: flow.Conn{ID: p.now, State: flow.StateOpen}}
		m.udp[p.key] = c
	}
	if !c.owns(p) {
		return OtherInterface
	}
	c.count(p)
	return RecordedUDP
}

func (m *model) segment(p *wirePacket) Reason {
	f := m.flows[p.key]
	if f != nil && f.continuedBy(p) {
		return f.segment(p)
	}
	half := m.halfOpen[p.key]
	if half == nil && p.has(syn) {
		half = &modelConn{Conn: flow.Conn{ID: p.now}}
		m.halfOpen[p.key] = half
	}
	switch {
	case half != nil && half.takes(p, f):
		return m.opening(half, f, p)
	case f != nil:
		return f.segment(p)
	}
	return m.unknown(p)
}

// continuedBy says whether a segment is of the flow's own connection, as far as the record alone tells.
func (f *modelFlow) continuedBy(p *wirePacket) bool {
	if p.has(syn) {
		return f.conn.knows(p.dir, flow.KnownISN) && f.conn.Dir[p.dir].ISN == p.seq
	}
	return !f.reopened
}

// takes says whether a segment is of the half-open connection, and not of an older one on its 5-tuple.
func (half *modelConn) takes(p *wirePacket, f *modelFlow) bool {
	switch {
	case p.has(syn):
		return true
	case half.State == flow.StatePromoted:
		return false
	case len(p.payload) > 0 && !half.knows(flow.TX, flow.KnownISN): // nobody sends data to who has not answered
		return false
	}
	return f == nil || f.conn.State != flow.StateOpen || half.completedBy(p)
}

// opening counts a segment of a connection that is being opened, perhaps on the 5-tuple of an older one.
func (m *model) opening(half *modelConn, f *modelFlow, p *wirePacket) Reason {
	if f != nil && p.has(syn) {
		f.reopened = true
	}
	if half.State == flow.StatePromoted {
		*half = modelConn{Conn: flow.Conn{ID: p.now}}
	}
	if !half.owns(p) {
		return OtherInterface
	}
	if half.completedBy(p) {
		return m.promote(half, p)
	}
	half.restart(p)
	half.segment(p)
	return RecordedHalfOpen
}

// restart makes room for another connection: a SYN came with another ISN. What was counted stays.
func (half *modelConn) restart(p *wirePacket) {
	if !p.has(syn) || p.has(ack) || !half.knows(p.dir, flow.KnownISN) || half.Dir[p.dir].ISN == p.seq {
		return
	}
	half.ID, half.SYN, half.SYNACK, half.ACK = p.now, 0, 0, 0
	half.Dir[flow.RX].Known, half.Dir[flow.TX].Known = 0, 0
}

// completedBy says whether a segment proves that its sender has seen this host's SYN; or whether it is this host's own
// SYN-ACK that takes data of the peer's SYN (RFC 7413).
func (half *modelConn) completedBy(p *wirePacket) bool {
	if !p.has(ack) || p.has(rst) {
		return false
	}
	rx, tx := &half.Dir[flow.RX], &half.Dir[flow.TX]
	if p.dir == flow.TX {
		return p.has(syn) && half.knows(flow.RX, flow.KnownISN) && before(rx.ISN+1, p.ack)
	}
	return half.knows(flow.TX, flow.KnownISN) && before(tx.ISN, p.ack) && !before(tx.SeqHigh, p.ack)
}

func (m *model) promote(half *modelConn, p *wirePacket) Reason {
	if m.flows[p.key] == nil && len(m.flows) == m.room {
		return TableFull
	}
	f := newModelFlow(half)
	m.flows[p.key] = f
	reason := f.segment(p)
	f.timeHandshake()
	half.State = flow.StatePromoted
	return reason
}

// unknown takes a segment of which no table knows anything.
func (m *model) unknown(p *wirePacket) Reason {
	switch {
	case p.has(rst) || !m.midstream:
		return NoConnection
	case len(m.flows) == m.room:
		return TableFull
	}
	f := &modelFlow{
		conn:      modelConn{Conn: flow.Conn{ID: p.now, State: flow.StateOpen, Origin: flow.OriginMidstream}},
		exchanges: make([]flow.Exchange, 1),
	}
	m.flows[p.key] = f
	return f.segment(p)
}
