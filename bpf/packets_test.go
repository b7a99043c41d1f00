package bpf

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"fivetuple/correlator/flow"
)

// EtherTypes and IP protocols of the hand-made packets.
const (
	etherIPv4 = 0x0800
	etherARP  = 0x0806
	etherIPv6 = 0x86dd
	tag8021Q  = 0x8100
	tag8021ad = 0x88a8
	tagOld    = 0x9100

	protoHopByHop = 0
	protoICMP     = 1
	protoRouting  = 43
	protoFragment = 44
	protoESP      = 50
	protoAH       = 51
	protoNoNext   = 59
	protoDestOpts = 60
	protoMobility = 135
)

// TCP flags.
const (
	fin = 0x01
	syn = 0x02
	rst = 0x04
	psh = 0x08
	ack = 0x10
	urg = 0x20
	ece = 0x40
	cwr = 0x80
	ae  = 0x100
)

func be16(n int) []byte { return binary.BigEndian.AppendUint16(nil, uint16(n)) }

// ethernet returns a frame: addresses, a tag for each TPID given, the EtherType, the body.
func ethernet(tpids []int, etherType int, body []byte) []byte {
	frame := []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2}
	for i, tpid := range tpids {
		frame = append(append(frame, be16(tpid)...), be16(100+i)...)
	}
	return slices.Concat(frame, be16(etherType), body)
}

// ip describes an IP header. What is 0 is filled in as it should be.
type ip struct {
	src, dst  netip.Addr
	proto     int
	ttl       byte   // 64
	options   []byte // IPv4
	fragment  int    // IPv4: flags and offset
	version   int
	ihl       int
	length    int // total length, or payload length with IPv6; -1: 0
	extension int // IPv6: type of the first extension header, which is in the body
}

func (h ip) packet(body []byte) []byte {
	h.ttl = max(h.ttl, 1)
	if h.src.Is4() {
		return h.packet4(body)
	}
	h.version, h.length = or(h.version, 6), or(h.length, len(body))
	header := []byte{byte(h.version << 4), 0, 0, 0}
	header = append(append(header, be16(max(h.length, 0))...), byte(or(h.extension, h.proto)), h.ttl)
	return slices.Concat(header, h.src.AsSlice(), h.dst.AsSlice(), body)
}

func (h ip) packet4(body []byte) []byte {
	h.version, h.ihl = or(h.version, 4), or(h.ihl, 5+len(h.options)/4)
	h.length = or(h.length, 20+len(h.options)+len(body))
	header := append([]byte{byte(h.version<<4 | h.ihl), 0}, be16(max(h.length, 0))...)
	header = append(append(header, 0, 1), be16(h.fragment)...)
	header = append(header, h.ttl, byte(h.proto), 0, 0)
	return slices.Concat(header, h.src.AsSlice(), h.dst.AsSlice(), h.options, body)
}

// or returns a value, or its default if it is 0; hop-by-hop options, which are protocol 0, are asked for as -1.
func or(value, otherwise int) int {
	if value == 0 {
		return otherwise
	}
	return value
}

// segment is a TCP segment.
type segment struct {
	flags    int
	seq, ack uint32
	window   int // 0: 1000; -1: 0
	offset   int // data offset in words, if it is to be wrong
	options  []byte
	payload  string
}

func (s segment) bytes(src, dst uint16) []byte {
	s.offset = or(s.offset, 5+len(s.options)/4)
	b := binary.BigEndian.AppendUint16(nil, src)
	b = binary.BigEndian.AppendUint16(b, dst)
	b = binary.BigEndian.AppendUint32(b, s.seq)
	b = binary.BigEndian.AppendUint32(b, s.ack)
	b = append(b, be16(s.offset<<12|s.flags)...)
	b = append(append(b, be16(max(or(s.window, 1000), 0))...), 0, 0, 0, 0)
	return slices.Concat(b, s.options, []byte(s.payload))
}

func udpBytes(src, dst uint16, payload string) []byte {
	b := slices.Concat(be16(int(src)), be16(int(dst)), be16(8+len(payload)), []byte{0, 0})
	return append(b, payload...)
}

// tuple is a flow, seen from this host.
type tuple struct{ local, remote netip.AddrPort }

var (
	tuple4 = tuple{netip.MustParseAddrPort("10.0.0.1:80"), netip.MustParseAddrPort("10.0.0.2:50000")}
	tuple6 = tuple{netip.MustParseAddrPort("[2001:db8::1]:80"), netip.MustParseAddrPort("[2001:db8::2]:50000")}
)

func (t tuple) key(proto uint8) flow.Key { return flow.NewKey(proto, t.local, t.remote) }

// ends returns source and destination of a packet of a direction.
func (t tuple) ends(dir int) (src, dst netip.AddrPort) {
	if dir == flow.RX {
		return t.remote, t.local
	}
	return t.local, t.remote
}

// ip returns the header of a packet of a direction.
func (t tuple) ip(dir, proto int) ip {
	src, dst := t.ends(dir)
	return ip{src: src.Addr(), dst: dst.Addr(), proto: proto, ttl: 64}
}

func (t tuple) etherType() int {
	if t.local.Addr().Is4() {
		return etherIPv4
	}
	return etherIPv6
}

// tcp returns the frame of a segment, without tags, options or padding.
func (t tuple) tcp(dir int, s segment) []byte {
	src, dst := t.ends(dir)
	return ethernet(nil, t.etherType(), t.ip(dir, flow.TCP).packet(s.bytes(src.Port(), dst.Port())))
}

func (t tuple) udp(dir int, payload string) []byte {
	src, dst := t.ends(dir)
	return ethernet(nil, t.etherType(), t.ip(dir, flow.UDP).packet(udpBytes(src.Port(), dst.Port(), payload)))
}
