package bpf

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"fivetuple/correlator/flow"
)

// Not fed, because the kernel refuses to run frames that are shorter than Ethernet and IP headers (IPv4: 34 bytes,
// IPv6: 54), or shorter than 14: an Ethernet header cut short (L2_TRUNCATED), and an IP header that is cut short and has
// no tag before it (IP_TRUNCATED; behind tags it is fed).

// parseCase is a frame that is no record's.
type parseCase struct {
	name  string
	frame []byte
	want  Reason
}

func frame4(h ip, body []byte) []byte { return ethernet(nil, etherIPv4, h.packet(body)) }
func frame6(h ip, body []byte) []byte { return ethernet(nil, etherIPv6, h.packet(body)) }

var (
	rx4     = tuple4.ip(flow.RX, flow.TCP)
	rx6     = tuple6.ip(flow.RX, flow.TCP)
	request = segment{flags: psh | ack, seq: 1001, ack: 5001, payload: "GET / HTTP/1.1\r\n\r\n"}
	body    = request.bytes(50000, 80)
)

func (h ip) with(set func(*ip)) ip {
	set(&h)
	return h
}

func TestParserRefuses(t *testing.T) {
	k := newKernel(t, midstreamAny)
	for _, c := range slices.Concat(refusedLinks(), refusedIPv4(), refusedIPv6(), refusedTCP()) {
		t.Run(c.name, func(t *testing.T) {
			k.t = t
			for dir := flow.RX; dir <= flow.TX; dir++ {
				k.want(c.want, dir, c.frame)
			}
		})
	}
	if n := count[flow.Record](t, k.Flows) + count[flow.Handshake](t, k.HalfOpen) + count[flow.Conn](t, k.UDP); n != 0 {
		t.Errorf("%d records of packets that are not recorded", n)
	}
}

func refusedLinks() []parseCase {
	ipPacket := rx4.packet(body)
	nine := slices.Repeat([]int{tag8021Q}, 9)
	return []parseCase{
		{"ARP", ethernet(nil, etherARP, make([]byte, 46)), NotIP},
		{"tagged ARP", ethernet([]int{tag8021Q}, etherARP, make([]byte, 46)), NotIP},
		{"802.3 length instead of a type", ethernet(nil, 46, make([]byte, 46)), NotIP},
		{"nine tags", ethernet(nine, etherIPv4, ipPacket), VLANDepth},
		{"tag cut short", ethernet(nil, tag8021Q, []byte{0, 1}), L2Truncated},
		{"tag announced but missing", ethernet(nil, tag8021ad, nil), L2Truncated},
		{"second tag missing", ethernet([]int{tag8021ad}, tag8021Q, nil), L2Truncated},
		{"IPv4 header missing behind a tag", ethernet([]int{tag8021Q}, etherIPv4, nil), IPTruncated},
		{"IPv4 header cut short behind a tag", ethernet([]int{tag8021Q}, etherIPv4, ipPacket[:19]), IPTruncated},
		{"IPv6 header cut short behind a tag", ethernet([]int{tag8021Q}, etherIPv6, rx6.packet(body)[:39]), IPTruncated},
	}
}

func refusedIPv4() []parseCase {
	set := func(f func(*ip)) []byte { return frame4(rx4.with(f), body) }
	whole := frame4(rx4, body)
	return []parseCase{
		{"IPv4 says version 6", set(func(h *ip) { h.version = 6 }), IPBadVersion},
		{"IPv4 says version 15", set(func(h *ip) { h.version = 15 }), IPBadVersion},
		{"IHL 4", set(func(h *ip) { h.ihl = 4 }), IPBadHeaderLength},
		{"IHL 1", set(func(h *ip) { h.ihl = 1 }), IPBadHeaderLength},
		{"total length 0 without offload", set(func(h *ip) { h.length = -1 }), IPBadLength},
		{"total length below the header", set(func(h *ip) { h.length = 19 }), IPBadLength},
		{"total length below a header with options", set(func(h *ip) { h.ihl, h.length = 15, 59 }), IPBadLength},
		{"payload cut short", whole[:len(whole)-1], IPTruncated},
		{"all but the header cut off", whole[:34], IPTruncated},
		{"total length of one byte more", set(func(h *ip) { h.length = 20 + len(body) + 1 }), IPTruncated},
		{"later fragment", set(func(h *ip) { h.fragment = 1 }), IPLaterFragment},
		{"middle fragment", set(func(h *ip) { h.fragment = 0x2000 | 185 }), IPLaterFragment},
		{"ICMP", set(func(h *ip) { h.proto = protoICMP }), OtherProtocol},
		{"ESP", set(func(h *ip) { h.proto = protoESP }), OtherProtocol},
		{"no room for TCP", frame4(rx4, body[:19]), L4Truncated},
		{"no TCP at all", frame4(rx4, nil), L4Truncated},
		{"IHL 15 without room for TCP", set(func(h *ip) { h.ihl = 15; h.length = 60 }), IPTruncated},
		{"no room for UDP", frame4(tuple4.ip(flow.RX, flow.UDP), make([]byte, 7)), L4Truncated},
		{"padding is not TCP", append(frame4(rx4, nil), make([]byte, 40)...), L4Truncated},
	}
}

func refusedIPv6() []parseCase {
	set := func(f func(*ip)) []byte { return frame6(rx6.with(f), body) }
	extended := func(kind int, extensions []byte) []byte {
		return frame6(rx6.with(func(h *ip) { h.extension = kind }), slices.Concat(extensions, body))
	}
	whole := frame6(rx6, body)
	nine := slices.Concat(slices.Repeat(extension(protoDestOpts, 0), 8), extension(flow.TCP, 0))
	beyond := frame6(rx6.with(func(h *ip) { h.extension = protoDestOpts }), extension(flow.TCP, 0)[:2])
	return []parseCase{
		{"IPv6 says version 4", set(func(h *ip) { h.version = 4 }), IPBadVersion},
		{"IPv6 payload length 0 without offload", set(func(h *ip) { h.length = -1 }), IPBadLength},
		{"IPv6 payload cut short", whole[:len(whole)-1], IPTruncated},
		{"all but the IPv6 header cut off", whole[:54], IPTruncated},
		{"extension cut short", beyond, IPTruncated},
		{"extension that reaches behind the packet", extended(protoDestOpts, extension(flow.TCP, 255)), L4Truncated},
		{"extension behind the packet", extended(protoDestOpts, extension(protoRouting, 255)), IPTruncated},
		{"nine extensions", extended(protoDestOpts, nine), IPv6ExtensionDepth},
		{"IPv6 later fragment", extended(protoFragment, fragmentHeader(8)), IPLaterFragment},
		{"later fragment behind options", extended(protoDestOpts,
			slices.Concat(extension(protoFragment, 0), fragmentHeader(0xfff9))), IPLaterFragment},
		{"ICMPv6", set(func(h *ip) { h.proto = 58 }), OtherProtocol},
		{"IPv6 ESP", set(func(h *ip) { h.proto = protoESP }), OtherProtocol},
		{"no next header", extended(protoDestOpts, extension(protoNoNext, 0)), OtherProtocol},
		{"no room for TCP in IPv6", frame6(rx6, body[:19]), L4Truncated},
	}
}

func refusedTCP() []parseCase {
	with := func(offset int) []byte {
		s := request
		s.offset = offset
		return frame4(rx4, s.bytes(50000, 80))
	}
	return []parseCase{
		{"TCP data offset 1", with(1), L4BadLength},
		{"TCP data offset 4", with(4), L4BadLength},
		{"TCP header longer than the packet", with(15), L4BadLength},
	}
}

// extension returns an IPv6 extension header of 8 + 8 x units bytes, of any kind but fragment and AH.
func extension(next, units int) []byte {
	return append([]byte{byte(next), byte(units)}, make([]byte, 6+8*min(units, 31))...)
}

func fragmentHeader(offsetAndFlag int) []byte {
	return slices.Concat([]byte{flow.TCP, 255}, be16(offsetAndFlag), []byte{0, 0, 0, 1})
}

// TestHopByHopFirst is apart, because type 0 is what the table's builder takes for "not given".
func TestHopByHopFirst(t *testing.T) {
	k := newKernel(t, midstreamAny)
	frame := frame6(rx6.with(func(h *ip) { h.extension = 1 }), slices.Concat(extension(flow.TCP, 1), body))
	frame[14+6] = protoHopByHop
	k.want(RecordedFlow, flow.RX, frame)
	wantRequest(t, k, tuple6, 40+16+20)
}

// wantRequest checks that the request was recorded, whole, with as many header bytes.
func wantRequest(t *testing.T, k *kernel, tu tuple, headers uint64) {
	t.Helper()
	d := k.record(tu.key(flow.TCP)).Conn.Dir[flow.RX]
	payload := uint64(len(request.payload))
	same(t, [4]uint64{d.Packets, d.Bytes, d.Payload, uint64(d.DataHeaders)}, [4]uint64{1, payload + headers, payload, headers})
	if want := request.payload[:16]; string(d.First()) != want {
		t.Errorf("first payload is %q, want %q", d.First(), want)
	}
}

func TestParserReads(t *testing.T) {
	options := bytes.Repeat([]byte{1}, 40)
	for name, c := range map[string]struct {
		frame   []byte
		tuple   tuple
		headers uint64
	}{
		"IPv4":              {frame4(rx4, body), tuple4, 40},
		"IPv4 options":      {frame4(rx4.with(func(h *ip) { h.options = options[:4] }), body), tuple4, 44},
		"most IPv4 options": {frame4(rx4.with(func(h *ip) { h.options = options }), body), tuple4, 80},
		"padding":           {append(frame4(rx4, body), make([]byte, 100)...), tuple4, 40},
		"IPv6 padding":      {append(frame6(rx6, body), make([]byte, 3)...), tuple6, 60},
		"first fragment":    {frame4(rx4.with(func(h *ip) { h.fragment = 0x2000 }), body), tuple4, 40},
		"do not fragment":   {frame4(rx4.with(func(h *ip) { h.fragment = 0x4000 }), body), tuple4, 40},
		"IPv6":              {frame6(rx6, body), tuple6, 60},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKernel(t, midstreamAny)
			k.want(RecordedFlow, flow.RX, c.frame)
			wantRequest(t, k, c.tuple, c.headers)
		})
	}
}

func TestParserReadsTags(t *testing.T) {
	mixed := []int{tag8021ad, tag8021Q, tagOld, tag8021Q, tag8021ad, tagOld, tag8021Q, tag8021Q}
	for n := range len(mixed) + 1 {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			k := newKernel(t, midstreamAny)
			k.want(RecordedFlow, flow.RX, ethernet(mixed[:n], etherIPv4, rx4.packet(body)))
			wantRequest(t, k, tuple4, 40)
			k.want(RecordedFlow, flow.RX, ethernet(mixed[:n], etherIPv6, rx6.packet(body)))
			wantRequest(t, k, tuple6, 60)
		})
	}
}

func TestParserReadsExtensions(t *testing.T) {
	eight := slices.Concat(slices.Repeat(extension(protoDestOpts, 0), 7), extension(flow.TCP, 0))
	authentication := append([]byte{flow.TCP, 4}, make([]byte, 22)...) // RFC 4302: 24 bytes are 6 words, less 2
	for name, c := range map[string]struct {
		kind       int
		extensions []byte
	}{
		"destination options":      {protoDestOpts, extension(flow.TCP, 0)},
		"long destination options": {protoDestOpts, extension(flow.TCP, 31)},
		"routing":                  {protoRouting, extension(flow.TCP, 2)},
		"mobility":                 {protoMobility, extension(flow.TCP, 1)},
		"authentication":           {protoAH, authentication},
		"first fragment":           {protoFragment, fragmentHeader(1)},
		"atomic fragment":          {protoFragment, fragmentHeader(0)},
		"eight":                    {protoDestOpts, eight},
		"routing, then fragment":   {protoRouting, slices.Concat(extension(protoFragment, 0), fragmentHeader(1))},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKernel(t, midstreamAny)
			k.want(RecordedFlow, flow.RX,
				frame6(rx6.with(func(h *ip) { h.extension = c.kind }), slices.Concat(c.extensions, body)))
			wantRequest(t, k, tuple6, uint64(60+len(c.extensions)))
		})
	}
}

func TestFlags(t *testing.T) {
	for _, flags := range []int{psh | ack, ack | urg, ack | ece, ack | cwr, ack | ae, fin | ack, 0} {
		t.Run(fmt.Sprintf("%#x", flags), func(t *testing.T) {
			k := newKernel(t, midstreamAny)
			k.want(RecordedFlow, flow.TX, tuple4.tcp(flow.TX, segment{flags: flags, seq: 1}))
			if got := k.record(tuple4.key(flow.TCP)).Conn.Dir[flow.TX].Flags; int(got) != flags {
				t.Errorf("got %#x", got)
			}
		})
	}
}

func TestTTL(t *testing.T) {
	for _, tu := range []tuple{tuple4, tuple6} {
		k := newKernel(t, midstreamAny)
		for _, ttl := range []byte{57, 60} {
			h := tu.ip(flow.RX, flow.TCP)
			h.ttl = ttl
			k.want(RecordedFlow, flow.RX, ethernet(nil, tu.etherType(), h.packet(body)))
		}
		if got := k.record(tu.key(flow.TCP)).Conn.Dir[flow.RX].TTL; got != 57 {
			t.Errorf("%v: TTL %d, want that of the first packet, 57", tu, got)
		}
	}
}
