package bpf

import (
	"encoding/binary"

	"fivetuple/correlator/flow"
)

// wirePacket is what the model knows of a TCP or UDP packet.
type wirePacket struct {
	key      flow.Key
	dir      int
	now      uint64
	ifindex  uint32
	ttl      uint8
	headers  int // IP and L4 header bytes of one segment
	payload  []byte
	segments []int // payload bytes of each
	seq, ack uint32
	flags    uint16
	window   uint16
	options  []byte // of TCP
}

// ipPacket is an IP packet without what lies behind its end; rest begins at the upper layer's header.
type ipPacket struct {
	src, dst [16]byte
	ttl      uint8
	proto    int
	headers  int // bytes before rest
	rest     []byte
}

func u16(b []byte) int { return int(binary.BigEndian.Uint16(b)) }

// readPacket returns what a frame says; anything but RecordedFlow is the reason why it says nothing.
func readPacket(in *input) (wirePacket, Reason) {
	etherType, rest, reason := unwrap(in.frame)
	if reason != RecordedFlow {
		return wirePacket{}, reason
	}
	var i ipPacket
	switch etherType {
	case etherIPv4:
		i, reason = readIPv4(rest, in.gso)
	case etherIPv6:
		i, reason = readIPv6(rest, in.gso)
	default:
		reason = NotIP
	}
	if reason != RecordedFlow {
		return wirePacket{}, reason
	}
	return readL4(in, &i)
}

// unwrap takes Ethernet and up to eight tags off.
func unwrap(frame []byte) (etherType int, rest []byte, reason Reason) {
	if len(frame) < 14 {
		return 0, nil, L2Truncated
	}
	etherType, rest = u16(frame[12:]), frame[14:]
	for tags := 0; etherType == tag8021Q || etherType == tag8021ad || etherType == tagOld; tags++ {
		if tags == 8 {
			return 0, nil, VLANDepth
		}
		if len(rest) < 4 {
			return 0, nil, L2Truncated
		}
		etherType, rest = u16(rest[2:]), rest[4:]
	}
	return etherType, rest, RecordedFlow
}

// cut returns the packet without its padding. Length 0 is what offload leaves of a packet too long for the field.
func cut(rest []byte, length, header int, gso uint32) ([]byte, Reason) {
	if length == 0 && gso != 0 {
		length = len(rest)
	}
	switch {
	case length < header:
		return nil, IPBadLength
	case length > len(rest):
		return nil, IPTruncated
	}
	return rest[:length], RecordedFlow
}

func readIPv4(rest []byte, gso uint32) (ipPacket, Reason) {
	if len(rest) < 20 {
		return ipPacket{}, IPTruncated
	}
	header := int(rest[0]&15) * 4
	switch {
	case rest[0]>>4 != 4:
		return ipPacket{}, IPBadVersion
	case header < 20:
		return ipPacket{}, IPBadHeaderLength
	}
	whole, reason := cut(rest, u16(rest[2:]), header, gso)
	switch {
	case reason != RecordedFlow:
		return ipPacket{}, reason
	case u16(rest[6:])&0x1fff != 0:
		return ipPacket{}, IPLaterFragment
	}
	return ipPacket{
		src: mapped(rest[12:16]), dst: mapped(rest[16:20]), ttl: rest[8], proto: int(rest[9]),
		headers: header, rest: whole[header:],
	}, RecordedFlow
}

// mapped returns the v4-mapped form of an IPv4 address.
func mapped(v4 []byte) (v6 [16]byte) {
	v6[10], v6[11] = 0xff, 0xff
	copy(v6[12:], v4)
	return v6
}

func readIPv6(rest []byte, gso uint32) (ipPacket, Reason) {
	if len(rest) < 40 {
		return ipPacket{}, IPTruncated
	}
	if rest[0]>>4 != 6 {
		return ipPacket{}, IPBadVersion
	}
	length := u16(rest[4:])
	if length != 0 {
		length += 40
	}
	whole, reason := cut(rest, length, 40, gso)
	if reason != RecordedFlow {
		return ipPacket{}, reason
	}
	i := ipPacket{
		src: [16]byte(rest[8:24]), dst: [16]byte(rest[24:40]), ttl: rest[7], proto: int(rest[6]),
		headers: 40, rest: whole[40:],
	}
	if quirkPadding {
		i.rest = rest[40:]
		reason = i.skipExtensions()
		i.rest = whole[min(len(whole), i.headers):]
		return i, reason
	}
	return i, i.skipExtensions()
}

// skipExtensions moves on to the upper layer's header. What follows an extension header that reaches behind the packet
// is cut short, and not the extension.
func (i *ipPacket) skipExtensions() Reason {
	for n := 0; i.atExtension(); n++ {
		if n == 8 && !quirkNinth {
			return IPv6ExtensionDepth
		}
		if len(i.rest) < 4 {
			return IPTruncated
		}
		length := 8 + 8*int(i.rest[1])
		switch i.proto {
		case protoAH:
			length = 8 + 4*int(i.rest[1])
		case protoFragment:
			length = 8
			if u16(i.rest[2:])>>3 != 0 {
				return IPLaterFragment
			}
		}
		i.proto = int(i.rest[0])
		i.headers += length
		i.rest = i.rest[min(length, len(i.rest)):]
		if n == 8 {
			return IPv6ExtensionDepth
		}
	}
	return RecordedFlow
}

func (i *ipPacket) atExtension() bool {
	switch i.proto {
	case protoHopByHop, protoRouting, protoDestOpts, protoMobility, protoAH, protoFragment:
		return true
	}
	return false
}

func readL4(in *input, i *ipPacket) (wirePacket, Reason) {
	fixed := 20
	switch i.proto {
	case flow.TCP:
	case flow.UDP:
		fixed = 8
	default:
		return wirePacket{}, OtherProtocol
	}
	if len(i.rest) < fixed {
		return wirePacket{}, L4Truncated
	}
	p := wirePacket{dir: in.dir, now: in.now, ifindex: in.ifindex, ttl: i.ttl}
	src, dst := uint16(u16(i.rest)), uint16(u16(i.rest[2:]))
	p.key = flow.Key{Local: i.dst, Remote: i.src, LocalPort: dst, RemotePort: src, Proto: uint8(i.proto)}
	if in.dir == flow.TX {
		p.key = flow.Key{Local: i.src, Remote: i.dst, LocalPort: src, RemotePort: dst, Proto: uint8(i.proto)}
	}
	header := fixed
	if i.proto == flow.TCP {
		header = int(i.rest[12]>>4) * 4
		if header < fixed || header > len(i.rest) {
			return wirePacket{}, L4BadLength
		}
		p.seq, p.ack = binary.BigEndian.Uint32(i.rest[4:]), binary.BigEndian.Uint32(i.rest[8:])
		p.flags, p.window = uint16(u16(i.rest[12:])&0x1ff), uint16(u16(i.rest[14:]))
		p.options = i.rest[fixed:header]
	}
	p.headers = i.headers + header
	p.payload = i.rest[header:]
	p.segments = split(len(p.payload), int(in.gso))
	return p, RecordedFlow
}

// split returns the payload bytes of each of a packet's segments.
func split(payload, gso int) (segments []int) {
	if gso == 0 || payload <= gso {
		return []int{payload}
	}
	for ; payload > gso; payload -= gso {
		segments = append(segments, gso)
	}
	return append(segments, payload)
}

func (p *wirePacket) has(flags uint16) bool { return p.flags&flags == flags }

// count returns the number of segments.
func (p *wirePacket) count() uint32 { return uint32(len(p.segments)) }

// length is that in sequence space.
func (p *wirePacket) length() (n uint32) {
	n = uint32(len(p.payload))
	if p.has(syn) {
		n++
	}
	if p.has(fin) {
		n++
	}
	return n
}

func (p *wirePacket) end() uint32 { return p.seq + p.length() }

// bytes are the IP bytes of all segments.
func (p *wirePacket) bytes() int { return len(p.payload) + len(p.segments)*p.headers }

// before compares sequence numbers modulo 2^32.
func before(a, b uint32) bool { return int32(a-b) < 0 }
