package capture

import (
	"encoding/binary"
	"net/netip"
)

// Sides says which way a frame goes: toward the local side, or from it.
type Sides struct {
	local      func(netip.Addr) bool
	initiators map[pair]netip.AddrPort // the flow's remote side
	firm       map[pair]int            // how sure that is
}

// pair is a flow in either direction: the smaller end first.
type pair struct {
	proto byte
	a, b  netip.AddrPort
}

// How a flow's initiator was found, the surest last.
const (
	byFirstPacket = 1 + iota
	bySYNACK
	bySYN
)

// LocalPrefix returns the sides of a host, or a net, whose addresses are the local ones.
func LocalPrefix(prefix netip.Prefix) *Sides {
	return &Sides{local: prefix.Contains}
}

// Initiators returns the sides of each flow by who opened it: the initiator's peer is the local side. The initiator is the
// sender of the first SYN, else the receiver of the first SYN-ACK, else the sender of the first packet.
func Initiators(frames []Frame) *Sides {
	s := &Sides{initiators: make(map[pair]netip.AddrPort), firm: make(map[pair]int)}
	for _, f := range frames {
		e, ok := ends(f.Data)
		if !ok {
			continue
		}
		initiator, how := e.source, byFirstPacket
		switch {
		case e.syn && e.ack:
			initiator, how = e.destination, bySYNACK
		case e.syn:
			how = bySYN
		}
		if p := e.pair(); how > s.firm[p] {
			s.initiators[p], s.firm[p] = initiator, how
		}
	}
	return s
}

// Flows returns how many flows there are; 0 for LocalPrefix.
func (s *Sides) Flows() int { return len(s.initiators) }

// IsRX says whether a frame goes toward the local side. One that is no TCP or UDP does.
func (s *Sides) IsRX(f Frame) bool {
	e, ok := ends(f.Data)
	if !ok {
		return true
	}
	if s.local != nil {
		return s.local(e.destination.Addr()) || !s.local(e.source.Addr())
	}
	return s.initiators[e.pair()] == e.source
}

// end are both ends of a packet.
type end struct {
	proto               byte
	source, destination netip.AddrPort
	syn, ack            bool
}

func (e end) pair() pair {
	if e.source.Compare(e.destination) < 0 {
		return pair{e.proto, e.source, e.destination}
	}
	return pair{e.proto, e.destination, e.source}
}

// ends reads as far as is needed to tell flows and their openings; false for what has no ports.
func ends(b []byte) (end, bool) {
	offset, etherType := 14, uint16(0)
	if len(b) < offset {
		return end{}, false
	}
	for etherType = binary.BigEndian.Uint16(b[12:]); isTag(etherType) && len(b) >= offset+4; offset += 4 {
		etherType = binary.BigEndian.Uint16(b[offset+2:])
	}
	switch etherType {
	case 0x0800:
		return ipv4(b[offset:])
	case 0x86dd:
		return ipv6(b[offset:])
	}
	return end{}, false
}

func isTag(etherType uint16) bool {
	return etherType == 0x8100 || etherType == 0x88a8 || etherType == 0x9100
}

func ipv4(b []byte) (end, bool) {
	if len(b) < 20 || b[0]>>4 != 4 {
		return end{}, false
	}
	header := int(b[0]&15) * 4
	if header < 20 || len(b) < header || binary.BigEndian.Uint16(b[6:])&0x1fff != 0 {
		return end{}, false
	}
	return transport(b[9], netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20])), b[header:])
}

func ipv6(b []byte) (end, bool) {
	if len(b) < 40 || b[0]>>4 != 6 {
		return end{}, false
	}
	source, destination := netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
	next, rest := b[6], b[40:]
	for range 9 {
		unit := 8
		switch next {
		case 0, 43, 60, 135:
		case 51:
			unit = 4
		case 44:
			if unit = 0; len(rest) >= 4 && binary.BigEndian.Uint16(rest[2:])&0xfff8 != 0 {
				return end{}, false
			}
		default:
			return transport(next, source, destination, rest)
		}
		if len(rest) < 8 || len(rest) < 8+unit*int(rest[1]) {
			return end{}, false
		}
		next, rest = rest[0], rest[8+unit*int(rest[1]):]
	}
	return end{}, false
}

func transport(proto byte, source, destination netip.Addr, b []byte) (end, bool) {
	if proto != 6 && proto != 17 || len(b) < 8 {
		return end{}, false
	}
	e := end{
		proto:       proto,
		source:      netip.AddrPortFrom(source, binary.BigEndian.Uint16(b)),
		destination: netip.AddrPortFrom(destination, binary.BigEndian.Uint16(b[2:])),
	}
	if proto == 6 && len(b) >= 14 {
		e.syn, e.ack = b[13]&2 != 0, b[13]&16 != 0
	}
	return e, true
}
