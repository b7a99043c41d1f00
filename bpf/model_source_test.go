package bpf

import "fivetuple/correlator/flow"

// seen returns what is known of a packet's remote address.
func (m *model) seen(p *wirePacket) *flow.Source {
	s := m.sources[p.key.Remote]
	if s == nil {
		s = &flow.Source{First: p.now}
		m.sources[p.key.Remote] = s
		m.counts[flow.TableSources].Inserted++
	}
	s.Last = p.now
	return s
}

// watch counts the peer's SYNs and RSTs.
func (m *model) watch(p *wirePacket) {
	switch {
	case p.dir != flow.RX:
	case p.has(rst):
		m.seen(p).RSTs++
	case p.has(syn) && !p.has(ack):
		s := m.seen(p)
		s.SYNs++
		bit := uint32(p.key.LocalPort) * 2654435769 >> 22 // Fibonacci hashing to ten bits
		s.Ports[bit/32] |= 1 << (bit % 32)
	}
}

// begun counts a record, and the handshake if the peer opened it, which this host has answered.
func (m *model) begun(p *wirePacket, f *modelFlow) {
	s := m.seen(p)
	s.Flows++
	handshake := f.conn.Origin == flow.OriginHandshake
	if quirkFastOpen && p.dir == flow.TX {
		handshake = false
	}
	if handshake && f.conn.Dir[flow.TX].Flags&ack != 0 {
		s.Handshakes++
	}
}
