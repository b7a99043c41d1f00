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
	victims    bool                    // who was sent a SYN-ACK without a SYN is the local side
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
func Initiators(frames []Frame) *Sides { return sides(frames, false) }

// Called is Initiators with another reading of a flow that has a SYN-ACK and no SYN: a capture on the host that sent the
// SYN-ACK would have the SYN, so the receiver of the SYN-ACK is the local side, and has not asked for it: Unasked.
func Called(frames []Frame) *Sides { return sides(frames, true) }

// Unasked reports whether a frame is of such a flow.
func (s *Sides) Unasked(f Frame) bool {
	e, ok := ends(f.Data)
	return ok && s.victims && s.firm[e.pair()] == bySYNACK
}

func sides(frames []Frame, victims bool) *Sides {
	s := &Sides{victims: victims, initiators: make(map[pair]netip.AddrPort), firm: make(map[pair]int)}
	for _, f := range frames {
		e, ok := ends(f.Data)
		if !ok {
			continue
		}
		initiator, how := e.source, byFirstPacket
		switch {
		case e.syn && e.ack && victims:
			how = bySYNACK
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

// Count returns how many TCP and UDP flows there are in a capture.
func Count(frames []Frame) (tcp, udp int) {
	seen := make(map[pair]bool)
	for _, f := range frames {
		e, ok := ends(f.Data)
		if !ok || seen[e.pair()] {
			continue
		}
		seen[e.pair()] = true
		if e.proto == protoTCP {
			tcp++
		} else {
			udp++
		}
	}
	return tcp, udp
}

// Ends returns protocol and both ends of a TCP or UDP frame; false for every other.
func (f Frame) Ends() (proto uint8, source, destination netip.AddrPort, ok bool) {
	e, ok := ends(f.Data)
	return e.proto, e.source, e.destination, ok
}

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

// ends reads as far as is needed to tell flows and their openings; false for what has no ports, not whole or not sound.
func ends(b []byte) (end, bool) {
	if len(b) < ethernetHeader {
		return end{}, false
	}
	etherType, rest := binary.BigEndian.Uint16(b[12:]), b[ethernetHeader:]
	for isTag(etherType) && len(rest) >= 4 {
		etherType, rest = binary.BigEndian.Uint16(rest[2:]), rest[4:]
	}
	switch etherType {
	case etherTypeIPv4:
		return ipv4(rest)
	case etherTypeIPv6:
		return ipv6(rest)
	default:
		return end{}, false
	}
}

func isTag(etherType uint16) bool {
	return etherType == 0x8100 || etherType == 0x88a8 || etherType == 0x9100
}

// within leaves out what lies behind an IP packet of a length, which is 0 if offload made it.
func within(b []byte, length int) []byte {
	if length == 0 {
		return b
	}
	return b[:min(len(b), length)]
}

func ipv4(b []byte) (end, bool) {
	if len(b) < 20 || b[0]>>4 != 4 {
		return end{}, false
	}
	b = within(b, int(binary.BigEndian.Uint16(b[2:])))
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
	next, rest := b[6], within(b[40:], int(binary.BigEndian.Uint16(b[4:])))
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

const (
	protoTCP = 6
	protoUDP = 17
)

func transport(proto byte, source, destination netip.Addr, b []byte) (end, bool) {
	header := 20
	if proto == protoUDP {
		header = 8
	}
	if proto != protoTCP && proto != protoUDP || len(b) < header {
		return end{}, false
	}
	e := end{
		proto:       proto,
		source:      netip.AddrPortFrom(source, binary.BigEndian.Uint16(b)),
		destination: netip.AddrPortFrom(destination, binary.BigEndian.Uint16(b[2:])),
	}
	if proto == protoTCP {
		e.syn, e.ack = b[13]&2 != 0, b[13]&16 != 0
		return e, b[12]>>4 >= 5
	}
	return e, true
}
