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
	payload  int
	first    []byte // of the payload, as far as captured
	segment  int    // payload bytes of a full segment
	seq, ack uint32
	flags    uint16
	window   uint16
	options  octets // of TCP
}

// octets lie on the wire; of a capture the last ones may be missing.
type octets struct {
	data   []byte
	length int
}

func (o octets) skip(n int) octets {
	return octets{o.data[min(n, len(o.data)):], max(o.length-n, 0)}
}

func (o octets) cut(n int) octets { return octets{o.data[:min(n, len(o.data))], n} }

// ipPacket is an IP packet without what lies behind its end; rest begins at the upper layer's header.
type ipPacket struct {
	src, dst [16]byte
	ttl      uint8
	proto    int
	headers  int // bytes before rest
	rest     octets
}

func u16(b []byte) int { return int(binary.BigEndian.Uint16(b)) }

// readPacket returns what a frame says; anything but RecordedFlow is the reason why it says nothing.
func readPacket(in *input) (p wirePacket, _ Reason) {
	etherType, rest, reason := unwrap(octets{in.frame, len(in.frame) + in.lost})
	if reason != RecordedFlow {
		return p, reason
	}
	var i ipPacket
	offloaded := in.gso != 0 || in.capture // what a capture does not say
	switch etherType {
	case etherIPv4:
		i, reason = readIPv4(rest, offloaded)
	case etherIPv6:
		i, reason = readIPv6(rest, offloaded)
	default:
		reason = NotIP
	}
	p = wirePacket{dir: in.dir, now: in.now, ifindex: in.ifindex, ttl: i.ttl, segment: int(in.gso)}
	if reason == RecordedFlow {
		reason = p.readL4(&i)
	}
	if reason != RecordedFlow {
		p.key = flow.Key{Remote: i.src} // whoever sent it, if it was received
	}
	return p, reason
}

// unwrap takes Ethernet and up to eight tags off.
func unwrap(frame octets) (etherType int, rest octets, reason Reason) {
	if len(frame.data) < 14 {
		return 0, octets{}, L2Truncated
	}
	etherType, rest = u16(frame.data[12:]), frame.skip(14)
	for tags := 0; etherType == tag8021Q || etherType == tag8021ad || etherType == tagOld; tags++ {
		if tags == 8 {
			return 0, octets{}, VLANDepth
		}
		if len(rest.data) < 4 {
			return 0, octets{}, L2Truncated
		}
		etherType, rest = u16(rest.data[2:]), rest.skip(4)
	}
	return etherType, rest, RecordedFlow
}

// withoutPadding cuts a packet where its header says. Length 0 is what offload leaves of a packet too long for the field.
func withoutPadding(rest octets, length, header int, offloaded bool) (octets, Reason) {
	if length == 0 && offloaded {
		length = rest.length
	}
	switch {
	case length < header:
		return octets{}, IPBadLength
	case length > rest.length:
		return octets{}, IPTruncated
	}
	return rest.cut(length), RecordedFlow
}

func readIPv4(rest octets, offloaded bool) (ipPacket, Reason) {
	h := rest.data
	if len(h) < 20 {
		return ipPacket{}, IPTruncated
	}
	header := int(h[0]&15) * 4
	i := ipPacket{src: mapped(h[12:16]), dst: mapped(h[16:20]), ttl: h[8], proto: int(h[9]), headers: header}
	switch {
	case h[0]>>4 != 4:
		return i, IPBadVersion
	case header < 20:
		return i, IPBadHeaderLength
	}
	whole, reason := withoutPadding(rest, u16(h[2:]), header, offloaded)
	if reason == RecordedFlow && u16(h[6:])&0x1fff != 0 {
		reason = IPLaterFragment
	}
	i.rest = whole.skip(header)
	return i, reason
}

// mapped returns the v4-mapped form of an IPv4 address.
func mapped(v4 []byte) (v6 [16]byte) {
	v6[10], v6[11] = 0xff, 0xff
	copy(v6[12:], v4)
	return v6
}

func readIPv6(rest octets, offloaded bool) (ipPacket, Reason) {
	h := rest.data
	if len(h) < 40 {
		return ipPacket{}, IPTruncated
	}
	if h[0]>>4 != 6 {
		return ipPacket{}, IPBadVersion
	}
	length := u16(h[4:])
	if length != 0 {
		length += 40
	}
	whole, reason := withoutPadding(rest, length, 40, offloaded)
	i := ipPacket{
		src: [16]byte(h[8:24]), dst: [16]byte(h[24:40]), ttl: h[7], proto: int(h[6]), headers: 40, rest: whole.skip(40),
	}
	if reason == RecordedFlow {
		reason = i.skipExtensions()
	}
	return i, reason
}

// skipExtensions moves on to the upper layer's header. What follows an extension header that reaches behind the packet
// is cut short, and not the extension.
func (i *ipPacket) skipExtensions() Reason {
	for n := 0; i.atExtension(); n++ {
		if n == 8 {
			return IPv6ExtensionDepth
		}
		h := i.rest.data
		if len(h) < 4 {
			return IPTruncated
		}
		length := 8 + 8*int(h[1])
		switch i.proto {
		case protoAH:
			length = 8 + 4*int(h[1])
		case protoFragment:
			length = 8
			if u16(h[2:])>>3 != 0 {
				return IPLaterFragment
			}
		}
		i.proto = int(h[0])
		i.headers += length
		i.rest = i.rest.skip(length)
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

func (p *wirePacket) readL4(i *ipPacket) Reason {
	fixed := 20
	switch i.proto {
	case flow.TCP:
	case flow.UDP:
		fixed = 8
	default:
		return OtherProtocol
	}
	h := i.rest.data
	if len(h) < fixed {
		return L4Truncated
	}
	src, dst := uint16(u16(h)), uint16(u16(h[2:]))
	p.key = flow.Key{Local: i.dst, Remote: i.src, LocalPort: dst, RemotePort: src, Proto: uint8(i.proto)}
	if p.dir == flow.TX {
		p.key = flow.Key{Local: i.src, Remote: i.dst, LocalPort: src, RemotePort: dst, Proto: uint8(i.proto)}
	}
	header := fixed
	if i.proto == flow.TCP {
		header = int(h[12]>>4) * 4
		if header < fixed || header > i.rest.length {
			return L4BadLength
		}
		p.seq, p.ack = binary.BigEndian.Uint32(h[4:]), binary.BigEndian.Uint32(h[8:])
		p.flags, p.window = uint16(u16(h[12:])&0x1ff), uint16(u16(h[14:]))
		p.options = i.rest.skip(fixed).cut(header - fixed)
	}
	p.headers = i.headers + header
	payload := i.rest.skip(header)
	p.payload, p.first = payload.length, payload.data
	if p.segment == 0 || p.payload <= p.segment {
		p.segment = p.payload
	}
	return RecordedFlow
}

func (p *wirePacket) has(flags uint16) bool { return p.flags&flags == flags }

// count returns the number of segments.
func (p *wirePacket) count() int {
	if p.payload == 0 {
		return 1
	}
	return (p.payload + p.segment - 1) / p.segment
}

// length is that in sequence space.
func (p *wirePacket) length() uint32 {
	n := uint32(p.payload)
	if p.has(syn) {
		n++
	}
	if p.has(fin) {
		n++
	}
	return n
}

func (p *wirePacket) end() uint32 { return p.seq + p.length() }

// dataEnd is the end of the payload: a SYN comes before it, a FIN behind.
func (p *wirePacket) dataEnd() uint32 {
	if p.has(fin) {
		return p.end() - 1
	}
	return p.end()
}

// bytes are the IP bytes of all segments.
func (p *wirePacket) bytes() int { return p.payload + p.count()*p.headers }

// below compares sequence numbers modulo 2^32.
func below(a, b uint32) bool { return int32(a-b) < 0 }
