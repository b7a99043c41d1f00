package lab

import (
	"encoding/binary"
	"net/netip"
	"testing"
)

// frame describes a hand-made TCP frame; what is left out is plain.
type frame struct {
	rx         bool
	seq, ack   uint32
	flags      uint16 // 0 is ACK
	payload    int
	tags       []uint16 // EtherTypes of the tags, outermost first
	v6         bool
	extensions []byte // whole IPv6 extension headers; first names the first of them
	first      byte   // next header of the IPv6 header with extensions
	ipOptions  int    // bytes of IPv4 options, a multiple of 4
	tcpOptions int    // bytes of TCP options, a multiple of 4
	padding    int    // bytes behind the packet
	gso        int
	time       int64
}

const (
	testLocalPort  = 80
	testRemotePort = 40000
)

func testAddresses(v6 bool) (local, remote netip.Addr) {
	if v6 {
		return netip.MustParseAddr(testGatewayV6), netip.MustParseAddr(testClientV6)
	}
	return netip.MustParseAddr(testGatewayV4), netip.MustParseAddr(testClientV4)
}

// Hand-made frames have addresses of their own, for hosts without a lab.
const (
	testGatewayV4, testClientV4 = "192.0.2.1", "192.0.2.2"
	testGatewayV6, testClientV6 = "2001:db8::1", "2001:db8::2"
)

func testKey(v6 bool) FlowKey {
	local, remote := testAddresses(v6)
	return FlowKey{Local: netip.AddrPortFrom(local, testLocalPort), Remote: netip.AddrPortFrom(remote, testRemotePort)}
}

// packet builds the frame, checksums aside.
func (f frame) packet() Packet {
	data := make([]byte, 12)
	for _, tag := range f.tags {
		data = binary.BigEndian.AppendUint16(data, tag)
		data = binary.BigEndian.AppendUint16(data, 7)
	}
	local, remote := testAddresses(f.v6)
	src, dst, sport, dport := local, remote, uint16(testLocalPort), uint16(testRemotePort)
	if f.rx {
		src, dst, sport, dport = dst, src, dport, sport
	}
	if f.v6 {
		data = f.appendIPv6(data, src, dst)
	} else {
		data = f.appendIPv4(data, src, dst)
	}
	flags := f.flags
	if flags == 0 {
		flags = FlagACK
	}
	data = binary.BigEndian.AppendUint16(data, sport)
	data = binary.BigEndian.AppendUint16(data, dport)
	data = binary.BigEndian.AppendUint32(data, f.seq)
	data = binary.BigEndian.AppendUint32(data, f.ack)
	data = binary.BigEndian.AppendUint16(data, uint16(f.tcpLen()/4)<<12|flags)
	data = append(data, make([]byte, 6+f.tcpOptions+f.payload+f.padding)...)
	return Packet{Time: f.time, RX: f.rx, Data: data, Length: len(data), GSOSize: f.gso}
}

func (f frame) tcpLen() int { return tcpMinLen + f.tcpOptions }

func (f frame) appendIPv4(data []byte, src, dst netip.Addr) []byte {
	headerLen := ipv4MinLen + f.ipOptions
	data = binary.BigEndian.AppendUint16(data, etherIPv4)
	data = append(data, 0x40|byte(headerLen/4), 0)
	data = binary.BigEndian.AppendUint16(data, uint16(headerLen+f.tcpLen()+f.payload))
	data = append(data, 0, 1, 0x40, 0, 64, protoTCP, 0, 0)
	data = append(append(data, src.AsSlice()...), dst.AsSlice()...)
	return append(data, make([]byte, f.ipOptions)...)
}

func (f frame) appendIPv6(data []byte, src, dst netip.Addr) []byte {
	next := byte(protoTCP)
	if len(f.extensions) > 0 {
		next = f.first
	}
	data = binary.BigEndian.AppendUint16(data, etherIPv6)
	data = append(data, 0x60, 0, 0, 0)
	data = binary.BigEndian.AppendUint16(data, uint16(len(f.extensions)+f.tcpLen()+f.payload))
	data = append(data, next, 64)
	data = append(append(data, src.AsSlice()...), dst.AsSlice()...)
	return append(data, f.extensions...)
}

// flowOf makes the frames' only flow; each frame is one microsecond after the one before unless it has a
// time.
func flowOf(t *testing.T, frames ...frame) *Flow {
	t.Helper()
	var packets []Packet
	for i, f := range frames {
		if f.time == 0 {
			f.time = int64(i+1) * 1000
		}
		packets = append(packets, f.packet())
	}
	flows := Flows(packets, nil)
	f := flows[testKey(frames[0].v6)]
	if len(flows) != 1 || f == nil {
		t.Fatalf("flows %v, want only %v", flows, testKey(frames[0].v6))
	}
	return f
}
