package bpf

import (
	"slices"

	"fivetuple/correlator/flow"
)

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
		bit := scatter(uint32(p.key.LocalPort)) % flow.PortBits
		s.Ports[bit/32] |= 1 << (bit % 32)
	}
}

// scatter is MurmurHash3's finalizer.
func scatter(n uint32) uint32 {
	n = (n ^ n>>16) * 0x85ebca6b
	n = (n ^ n>>13) * 0xc2b2ae35
	return n ^ n>>16
}

// begun counts a record, and its handshake if the peer opened it.
func (m *model) begun(p *wirePacket, opened bool) {
	s := m.seen(p)
	s.Flows++
	if opened {
		s.Handshakes++
	}
}

// blame counts a packet that is its sender's fault.
func (m *model) blame(p *wirePacket, reason Reason) {
	faults := []Reason{IPTruncated, IPBadHeaderLength, IPBadLength, IPv6ExtensionDepth, L4Truncated, L4BadLength}
	if slices.Contains(faults, reason) {
		m.seen(p).Malformed++
	}
}
