package lab

import (
	"net/netip"
	"slices"
)

// FlowKey names one TCP connection from the captured host's side. IPv4 addresses are never v4-mapped.
type FlowKey struct {
	Local, Remote netip.AddrPort
}

// Totals are the figures of everything one direction of a flow carried, pure ACKs, SYN, FIN and RST included.
type Totals struct {
	Packets     uint64 // segments on the wire
	Bytes       uint64 // IP bytes
	Payload     uint64 // TCP payload bytes, retransmissions counted again
	DataPackets uint64 // segments with payload
	Flags       uint16 // all flags seen
}

// Flow is what a capture shows of one connection.
type Flow struct {
	Key       FlowKey
	RX, TX    Totals
	Handshake Handshake
	// Segments are the packets in the order of the capture, merged ones not cut.
	Segments []Segment

	exchanges exchanges
	rx, tx    sequence
}

// Local says whether dst is the local side of a packet from src to dst. It replaces the direction of the
// capture where that says nothing, as in a capture file.
type Local func(dst, src netip.AddrPort) bool

// LocalAddrs returns the Local for a host that has these addresses.
func LocalAddrs(addrs ...netip.Addr) Local {
	return func(dst, _ netip.AddrPort) bool { return slices.Contains(addrs, dst.Addr().Unmap()) }
}

// Flows sorts the packets of a capture into flows. They must be in the order of the capture. local decides
// what rx is; nil takes Packet.RX, the direction the capture saw. Packets that Decode refuses belong to no
// flow.
func Flows(packets []Packet, local Local) map[FlowKey]*Flow {
	flows := make(map[FlowKey]*Flow)
	for _, p := range packets {
		s, err := Decode(p)
		if err != nil {
			continue
		}
		if local != nil {
			s.RX = local(s.Dst, s.Src)
		}
		key := FlowKey{Local: s.Src, Remote: s.Dst}
		if s.RX {
			key = FlowKey{Local: s.Dst, Remote: s.Src}
		}
		f := flows[key]
		if f == nil {
			f = &Flow{Key: key, exchanges: exchanges{list: []Exchange{{}}}}
			flows[key] = f
		}
		f.take(s)
	}
	return flows
}

func (f *Flow) take(s Segment) {
	f.Segments = append(f.Segments, s)
	f.Handshake.take(s)
	totals, seq := &f.TX, &f.tx
	if s.RX {
		totals, seq = &f.RX, &f.rx
	}
	totals.add(s)
	for _, part := range s.Wire() {
		part.New = seq.take(part)
		if part.PayloadLen > 0 {
			f.exchanges.take(part)
		}
	}
}

func (t *Totals) add(s Segment) {
	t.Packets += uint64(s.Segments)
	t.Bytes += uint64(s.IPBytes)
	t.Payload += uint64(s.PayloadLen)
	if s.PayloadLen > 0 {
		t.DataPackets += uint64(s.Segments)
	}
	t.Flags |= s.Flags
}
