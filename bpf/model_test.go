package bpf

import "fivetuple/correlator/flow"

// model is what the kernel program is to do, said again in Go from its definitions: bpf/record.h and the tests. It knows
// no sockets, and its tables that evict have no end.
type model struct {
	midstream bool // records connections that are older than it
	room      int  // of the flow table
	reasons   Reasons
	counts    [flow.Tables]flow.TableCounts
	flows     map[flow.Key]*modelFlow
	halfOpen  map[flow.Key]*modelConn
	udp       map[flow.Key]*modelConn
	sources   map[[16]byte]*flow.Source
	holes     holeTable
}

func newModel(midstream bool, flows, holes int) *model {
	m := &model{midstream: midstream, room: flows}
	m.holes = holeTable{room: holes, counts: &m.counts[flow.TableHoles]}
	m.forget()
	return m
}

// forget empties the tables. Holes go with their flows.
func (m *model) forget() {
	m.flows = make(map[flow.Key]*modelFlow)
	m.halfOpen = make(map[flow.Key]*modelConn)
	m.udp = make(map[flow.Key]*modelConn)
	m.sources = make(map[[16]byte]*flow.Source)
	m.counts[flow.TableHoles].Removed += uint64(m.holes.used)
	m.holes.used = 0
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
	if !has && in.dir == flow.RX && in.lost == 0 && p.key.Remote != [16]byte{} {
		m.blame(&p, reason)
	}
	m.reasons[in.dir][reason]++
	return p.key, has
}

func (m *model) datagram(p *wirePacket) Reason {
	c := m.udp[p.key]
	if c == nil {
		c = &modelConn{Conn: flow.Conn{ID: p.now, State: flow.StateOpen}}
		m.udp[p.key] = c
		m.counts[flow.TableUDP].Inserted++
	}
	if !c.owns(p) {
		return OtherInterface
	}
	c.count(p)
	return RecordedUDP
}

func (m *model) segment(p *wirePacket) Reason {
	m.watch(p)
	f := m.flows[p.key]
	if f != nil && f.continuedBy(p) {
		return f.segment(p)
	}
	half := m.halfOpen[p.key]
	if half == nil && f == nil && !m.midstream && p.dir == flow.RX && p.has(syn|ack) && !p.has(rst) {
		return UnsolicitedSYNACK
	}
	if half == nil && p.has(syn) {
		half = &modelConn{Conn: flow.Conn{ID: p.now}}
		m.halfOpen[p.key] = half
		m.counts[flow.TableHalfOpen].Inserted++
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
		if f.conn.State == flow.StateClosed && (f.reopened || !p.has(ack) && f.conn.knows(p.dir, flow.KnownISN)) {
			return false // the next incarnation, unless its own SYN is late
		}
		return f.conn.knows(p.dir, flow.KnownISN|flow.KnownAckedISN) && f.conn.Dir[p.dir].ISN == p.seq
	}
	return !f.reopened
}

// takes says whether a segment is of the half-open connection, and not of an older one on its 5-tuple.
func (c *modelConn) takes(p *wirePacket, f *modelFlow) bool {
	switch {
	case p.has(syn):
		return true
	case c.State == flow.StatePromoted:
		return false
	case c.knows(flow.TX, flow.KnownISN):
	case f == nil: // nobody sends data to who has not answered
		return p.payload == 0 || p.has(rst)
	default:
		return c.endedBy(p)
	}
	if f == nil || c.completedBy(p) {
		return true
	}
	return f.conn.State != flow.StateOpen && c.closerTo(p, &f.conn)
}

// endedBy reports whether a RST answers the peer's SYN, or follows it.
func (c *modelConn) endedBy(p *wirePacket) bool {
	of := p.ack
	if p.dir == flow.RX {
		of = p.seq
	}
	rx := &c.Dir[flow.RX]
	return p.has(rst) && c.knows(flow.RX, flow.KnownISN) && below(rx.ISN, of) && !below(rx.SeqHigh, of)
}

// closerTo reports whether a segment's sequence number is as near to this connection's as to the closed one's.
func (c *modelConn) closerTo(p *wirePacket, closed *modelConn) bool {
	off := func(of *modelConn) int64 {
		n := int64(int32(p.seq - of.Dir[p.dir].SeqHigh))
		return max(n, -n)
	}
	switch {
	case !c.knows(p.dir, flow.KnownSeq):
		return p.has(rst) // a refusal, which has none
	case !closed.knows(p.dir, flow.KnownSeq):
		return true
	}
	return off(c) <= off(closed)
}

// opening counts a segment of a connection that is being opened, perhaps on the 5-tuple of an older one.
func (m *model) opening(half *modelConn, f *modelFlow, p *wirePacket) Reason {
	if f != nil && p.has(syn) {
		f.reopened = true
	}
	if half.State == flow.StatePromoted {
		*half = modelConn{Conn: flow.Conn{ID: p.now}}
	}
	if half.dismisses(p) {
		if at := half.Dir[p.dir].Ifindex; at != 0 && at != p.ifindex {
			return OtherInterface
		}
		half.stray(p)
		return RecordedHalfOpen
	}
	if !half.owns(p) {
		return OtherInterface
	}
	if half.completedBy(p) {
		return m.promote(half, p)
	}
	if n := half.segment(p); p.dir == flow.TX {
		half.time(p, n)
	}
	return RecordedHalfOpen
}

// completedBy says whether a segment proves that its sender has seen this host's SYN; or whether it is this host's own
// SYN-ACK that takes data of the peer's SYN (RFC 7413).
func (c *modelConn) completedBy(p *wirePacket) bool {
	if !p.has(ack) || p.has(rst) {
		return false
	}
	rx, tx := &c.Dir[flow.RX], &c.Dir[flow.TX]
	if p.dir == flow.TX {
		return p.has(syn) && c.knows(flow.RX, flow.KnownISN) && below(rx.ISN+1, p.ack)
	}
	return c.knows(flow.TX, flow.KnownISN) && below(tx.ISN, p.ack) && !below(tx.SeqHigh, p.ack)
}

func (m *model) promote(half *modelConn, p *wirePacket) Reason {
	last := m.flows[p.key]
	if last == nil && !m.hasRoom() {
		return TableFull
	}
	if last != nil {
		last.conn.forgetHoles(flow.RX)
		last.conn.forgetHoles(flow.TX)
	}
	f := newModelFlow(half, &m.holes)
	m.flows[p.key] = f
	reason := f.segment(p)
	if half.rivals[flow.TX].Time == 0 { // Karn
		f.conn.timeHandshake()
	}
	half.State = flow.StatePromoted
	m.begun(p, half.knows(flow.RX, flow.KnownOpener))
	return reason
}

// hasRoom counts a new record, or that there is no room for it.
func (m *model) hasRoom() bool {
	if len(m.flows) == m.room {
		m.counts[flow.TableFlows].Refused++
		return false
	}
	m.counts[flow.TableFlows].Inserted++
	return true
}

// unknown takes a segment of which no table knows anything.
func (m *model) unknown(p *wirePacket) Reason {
	switch {
	case !m.midstream:
		return NoConnection
	case !m.hasRoom():
		return TableFull
	}
	f := &modelFlow{
		conn: modelConn{
			Conn:    flow.Conn{ID: p.now, State: flow.StateOpen, Origin: flow.OriginMidstream},
			tracked: &m.holes,
		},
		exchanges: make([]modelExchange, 1),
	}
	m.flows[p.key] = f
	m.begun(p, false)
	return f.segment(p)
}
