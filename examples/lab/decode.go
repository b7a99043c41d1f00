package lab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
)

// ErrNotTCP says that a frame is well-formed as far as it was read and carries no TCP header: another
// protocol, or a later fragment.
var ErrNotTCP = errors.New("no TCP header in this frame")

// Numbers of IEEE 802.3, RFC 791, RFC 8200, RFC 4302 and RFC 9293.
const (
	etherHeaderLen = 14
	etherTagLen    = 4
	etherIPv4      = 0x0800
	etherIPv6      = 0x86dd
	etherVLAN      = 0x8100
	etherQinQ      = 0x88a8
	etherQinQOld   = 0x9100

	ipv4MinLen    = 20
	ipv6HeaderLen = 40
	tcpMinLen     = 20

	protoHopByHop = 0
	protoTCP      = 6
	protoRouting  = 43
	protoFragment = 44
	protoAH       = 51
	protoDestOpts = 60
	protoMobility = 135
)

// layout says where the parts of a TCP packet lie in its frame, in bytes from the frame's start.
type layout struct {
	ip, tcp, payload int // where each begins
	ipBytes          int // IP header to end of payload, by the IP header's own word; no padding
	src, dst         netip.Addr
}

// end is where the payload ends; behind it only padding can follow.
func (l layout) end() int { return l.ip + l.ipBytes }

// parseFrame finds the TCP header behind an Ethernet header. frame may be cut behind the TCP header, length
// is what it had on the wire. It trusts the IP header's length, also where the frame is shorter, and takes
// the frame's where the header says 0, as merged packets above 64 KiB do (Linux BIG TCP, RFC 2675). The error
// is ErrNotTCP or says what is malformed or cut.
func parseFrame(frame []byte, length int) (layout, error) {
	if len(frame) < etherHeaderLen {
		return layout{}, fmt.Errorf("read Ethernet header: %d bytes", len(frame))
	}
	at := etherHeaderLen
	kind := binary.BigEndian.Uint16(frame[at-2:])
	for kind == etherVLAN || kind == etherQinQ || kind == etherQinQOld {
		if len(frame) < at+etherTagLen {
			return layout{}, fmt.Errorf("read VLAN tag: %d bytes", len(frame))
		}
		at += etherTagLen
		kind = binary.BigEndian.Uint16(frame[at-2:])
	}

	l := layout{ip: at}
	var err error
	switch kind {
	case etherIPv4:
		err = l.parseIPv4(frame, length)
	case etherIPv6:
		err = l.parseIPv6(frame, length)
	default:
		err = ErrNotTCP
	}
	if err != nil {
		return layout{}, err
	}
	return l, l.parseTCP(frame)
}

func (l *layout) parseIPv4(frame []byte, length int) error {
	header := frame[l.ip:]
	if len(header) < ipv4MinLen {
		return fmt.Errorf("read IPv4 header: %d bytes", len(header))
	}
	headerLen := int(header[0]&0x0f) * 4
	l.ipBytes = int(binary.BigEndian.Uint16(header[2:]))
	if l.ipBytes == 0 {
		l.ipBytes = length - l.ip
	}
	if header[0]>>4 != 4 || headerLen < ipv4MinLen || l.ipBytes < headerLen {
		return fmt.Errorf("read IPv4 header: version %d, header length %d, total length %d",
			header[0]>>4, headerLen, l.ipBytes)
	}
	const offsetMask = 0x1fff
	if header[9] != protoTCP || binary.BigEndian.Uint16(header[6:])&offsetMask != 0 {
		return ErrNotTCP
	}
	l.src, _ = netip.AddrFromSlice(header[12:16])
	l.dst, _ = netip.AddrFromSlice(header[16:20])
	l.tcp = l.ip + headerLen
	return nil
}

func (l *layout) parseIPv6(frame []byte, length int) error {
	header := frame[l.ip:]
	if len(header) < ipv6HeaderLen {
		return fmt.Errorf("read IPv6 header: %d bytes", len(header))
	}
	if header[0]>>4 != 6 {
		return fmt.Errorf("read IPv6 header: version %d", header[0]>>4)
	}
	l.ipBytes = ipv6HeaderLen + int(binary.BigEndian.Uint16(header[4:]))
	if l.ipBytes == ipv6HeaderLen {
		l.ipBytes = length - l.ip
	}
	src, _ := netip.AddrFromSlice(header[8:24])
	dst, _ := netip.AddrFromSlice(header[24:40])
	l.src, l.dst = src.Unmap(), dst.Unmap()

	at, err := skipExtensions(header, header[6])
	l.tcp = l.ip + at
	return err
}

// skipExtensions returns where the TCP header begins behind an IPv6 header whose next header is next.
func skipExtensions(header []byte, next byte) (int, error) {
	at := ipv6HeaderLen
	for next != protoTCP {
		size := 8
		if len(header) < at+size {
			return 0, fmt.Errorf("read IPv6 extension header %d: %d bytes left", next, len(header)-at)
		}
		switch next {
		case protoHopByHop, protoRouting, protoDestOpts, protoMobility:
			size += int(header[at+1]) * 8
		case protoAH:
			size += int(header[at+1]) * 4 // RFC 4302: in 4-byte words, the first two not counted
		case protoFragment:
			if binary.BigEndian.Uint16(header[at+2:])&0xfff8 != 0 {
				return 0, ErrNotTCP
			}
		default:
			return 0, ErrNotTCP
		}
		next = header[at]
		at += size
	}
	return at, nil
}

func (l *layout) parseTCP(frame []byte) error {
	if len(frame) < l.tcp+tcpMinLen {
		return fmt.Errorf("read TCP header: %d bytes left", len(frame)-l.tcp)
	}
	headerLen := int(frame[l.tcp+12]>>4) * 4
	l.payload = l.tcp + headerLen
	if headerLen < tcpMinLen || l.payload > l.end() {
		return fmt.Errorf("read TCP header: header length %d, %d bytes left in the packet",
			headerLen, l.end()-l.tcp)
	}
	return nil
}
