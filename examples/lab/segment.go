package lab

import (
	"encoding/binary"
	"net/netip"
)

// TCP flags as in bytes 12 and 13 of the header (RFC 9293, RFC 9768 for AE).
const (
	FlagFIN = 1 << iota
	FlagSYN
	FlagRST
	FlagPSH
	FlagACK
	FlagURG
	FlagECE
	FlagCWR
	FlagAE
)

// Segment is the TCP side of one captured packet: one segment on the wire, or several that the kernel kept
// merged.
type Segment struct {
	Time     int64 // CLOCK_MONOTONIC, nanoseconds
	RX       bool  // came in, toward the local side
	Src, Dst netip.AddrPort
	Seq, Ack uint32
	Flags    uint16 // FlagFIN .. FlagAE
	// HeaderLen is the IP header with options or extension headers and the TCP header with options, in bytes.
	HeaderLen int
	// PayloadLen is the TCP payload of all merged segments, in bytes.
	PayloadLen int
	// Segments is how many segments the wire carries: ceil(PayloadLen / GSOSize) with a GSOSize, else 1.
	Segments int
	// IPBytes is PayloadLen + Segments x HeaderLen: no Ethernet header, tags or padding.
	IPBytes int
	GSOSize int // payload bytes of each merged segment but the last; 0 when it is one segment
	// New says that the payload goes above the highest sequence number of its direction seen before. Only
	// segments in an Exchange have it.
	New bool
}

// Decode reads the TCP segment out of a captured packet. The error is ErrNotTCP, or says what is malformed or
// cut: a packet belongs to a flow only with its whole fixed TCP header captured and with sane lengths.
func Decode(p Packet) (Segment, error) {
	l, err := parseFrame(p.Data, p.Length)
	if err != nil {
		return Segment{}, err
	}
	tcp := p.Data[l.tcp:]
	s := Segment{
		Time:       p.Time,
		RX:         p.RX,
		Src:        netip.AddrPortFrom(l.src, binary.BigEndian.Uint16(tcp)),
		Dst:        netip.AddrPortFrom(l.dst, binary.BigEndian.Uint16(tcp[2:])),
		Seq:        binary.BigEndian.Uint32(tcp[4:]),
		Ack:        binary.BigEndian.Uint32(tcp[8:]),
		Flags:      binary.BigEndian.Uint16(tcp[12:]) & 0x1ff,
		HeaderLen:  l.payload - l.ip,
		PayloadLen: l.end() - l.payload,
		Segments:   1,
		GSOSize:    p.GSOSize,
	}
	if s.GSOSize > 0 && s.PayloadLen > 0 {
		s.Segments = (s.PayloadLen + s.GSOSize - 1) / s.GSOSize
	}
	s.IPBytes = s.PayloadLen + s.Segments*s.HeaderLen
	return s, nil
}

// Wire returns the segments as the wire carries them, in order: one for each merged segment, all with the
// same time. FIN and PSH are the last one's, CWR the first one's, as the kernel and network cards cut.
func (s Segment) Wire() []Segment {
	if s.Segments <= 1 {
		return []Segment{s}
	}
	wire := make([]Segment, 0, s.Segments)
	for at := 0; at < s.PayloadLen; at += s.GSOSize {
		part := s
		part.Seq = s.Seq + uint32(at)
		part.PayloadLen = min(s.GSOSize, s.PayloadLen-at)
		part.Flags = cutFlags(s.Flags, at == 0, at+s.GSOSize >= s.PayloadLen)
		part.IPBytes = s.HeaderLen + part.PayloadLen
		part.Segments, part.GSOSize = 1, 0
		wire = append(wire, part)
	}
	return wire
}

// cutFlags returns the flags of one segment of a merged packet.
func cutFlags(flags uint16, first, last bool) uint16 {
	if !first {
		flags &^= FlagCWR
	}
	if !last {
		flags &^= FlagFIN | FlagPSH
	}
	return flags
}
