package capture

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// Magic numbers of pcap files. Their byte order is the file's.
const (
	magicPcap     = 0xa1b2c3d4
	magicNanos    = 0xa1b23c4d
	magicModified = 0xa1b2cd34 // of patches for Linux 2.2: packet headers have more fields
	magicIxia     = 0x1c0001ab // the file's header has four bytes more
	magicIxiaNano = 0x1c0001ac
)

const (
	pcapHeader       = 24
	pcapPacketHeader = 16
)

// peekSize is how far the first packets are looked at ahead.
const peekSize = tries * (maxPacket + pcapPacketHeader + maxMore)

// pcap reads the format of libpcap, and its relatives that TShark reads.
type pcap struct {
	r       *bufio.Reader
	order   binary.ByteOrder
	link    linkType
	unit    time.Duration // of a time's fraction
	lengths lengths
	more    int // bytes that a packet's header has beyond those of pcap
}

// lengths says in which order a packet's two lengths are.
type lengths uint8

const (
	capturedFirst lengths = iota // since version 2.4
	wireFirst                    // before 2.3, and in DG/UX's version 543
	smallerFirst                 // 2.3: some wrote one, some the other
)

func openPcap(r *bufio.Reader) (*pcap, error) {
	head, err := r.Peek(pcapHeader)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	p := &pcap{r: r, unit: time.Microsecond, order: binary.LittleEndian}
	magic := p.order.Uint32(head)
	if !isPcap(magic) {
		p.order = binary.BigEndian
		magic = p.order.Uint32(head)
	}
	switch {
	case !isPcap(magic):
		return nil, fmt.Errorf("%w: it begins with %x", ErrFormat, head[:4])
	case len(head) < pcapHeader:
		return nil, fmt.Errorf("%w: a pcap file's header has %d bytes, this one %d", ErrFormat, pcapHeader, len(head))
	}
	length := pcapHeader
	switch magic {
	case magicNanos:
		p.unit = time.Nanosecond
	case magicIxiaNano:
		p.unit = time.Nanosecond
		fallthrough
	case magicIxia:
		length += 4
	}
	major, minor := p.order.Uint16(head[4:]), p.order.Uint16(head[6:])
	if major < 2 {
		return nil, fmt.Errorf("%w: pcap version %d.%d, at least 2.0 is needed", ErrFormat, major, minor)
	}
	const linkBits = 0xffff // above are the length of a check sum, and reserved bits
	p.link = linkType(p.order.Uint32(head[20:]) & linkBits)
	snapLength := p.order.Uint32(head[16:])
	if _, err := r.Discard(length); err != nil {
		return nil, fmt.Errorf("%w: its header: %w", ErrFormat, cut(err))
	}
	switch {
	case major == 543, major == 2 && minor < 3:
		p.lengths = wireFirst
		if magic == magicPcap && minor == 2 {
			p.aix()
		}
	case major == 2 && minor == 3:
		p.lengths = smallerFirst
	case magic == magicPcap:
		p.more = p.fits(snapLength, 0, 8, 4)
	}
	if magic == magicModified {
		p.more = p.fits(snapLength, 8, 12)
	}
	return p, nil
}

func isPcap(magic uint32) bool {
	switch magic {
	case magicPcap, magicNanos, magicModified, magicIxia, magicIxiaNano:
		return true
	}
	return false
}

// aix finds files of AIX, whose version is 2.2 too, by their link types, which are those of RFC 1573.
func (p *pcap) aix() {
	link, ok := map[linkType]linkType{
		6: linkEthernet, 9: linkTokenRing, 15: linkFDDI, 24: linkNull,
	}[p.link]
	if ok {
		p.link, p.unit = link, time.Nanosecond
	}
}

func (p *pcap) next() (record, error) {
	var buffer [pcapPacketHeader + maxMore]byte
	head := buffer[:pcapPacketHeader+p.more]
	if n, err := io.ReadFull(p.r, head); err != nil {
		if n == 0 && errors.Is(err, io.EOF) {
			return record{}, io.EOF
		}
		return record{}, cut(err)
	}
	captured, wire := p.order.Uint32(head[8:]), p.order.Uint32(head[12:])
	if p.lengths == wireFirst || p.lengths == smallerFirst && captured > wire {
		captured, wire = wire, captured
	}
	if captured > maxPacket {
		return record{}, fmt.Errorf("%w: %d bytes were captured of a packet, at most %d can be", ErrDamage, captured, maxPacket)
	}
	data, err := readPacket(p.r, int(captured))
	if err != nil {
		return record{}, err
	}
	at := time.Unix(int64(p.order.Uint32(head)), int64(p.order.Uint32(head[4:]))*int64(p.unit)).UTC()
	return record{link: p.link, time: at, data: data, length: int(wire)}, nil
}

// Packet headers of formats that the file's header does not tell apart: what lies behind that of pcap is the interface, the
// protocol and the kind of packet (8 bytes), CPUs and padding after these (12), or something of Nokia's (4).
const maxMore = 12

// tries is how many packets are looked at to tell the formats apart.
const tries = 3

// fits returns in which of the formats the first packets make the most sense; the first one of equals.
func (p *pcap) fits(snapLength uint32, formats ...int) int {
	ahead, _ := p.r.Peek(peekSize) // as far as there is
	best, fewest := formats[0], 1<<30
	for _, more := range formats {
		if n := p.oddities(ahead, snapLength, more); n < fewest {
			best, fewest = more, n
		}
	}
	return best
}

// oddities counts what makes no sense in the first packets, if their headers have so many bytes more.
func (p *pcap) oddities(ahead []byte, snapLength uint32, more int) (odd int) {
	count := func(is bool) {
		if is {
			odd++
		}
	}
	for range tries {
		if len(ahead) == 0 {
			return odd
		}
		if len(ahead) < pcapPacketHeader+more {
			return odd + 1
		}
		captured, wire, rest := p.order.Uint32(ahead[8:]), p.order.Uint32(ahead[12:]), ahead[pcapPacketHeader:]
		count(p.order.Uint32(ahead[4:]) >= 1e6)
		count(captured > snapLength)
		count(captured > wire)
		count(wire > 128<<20)
		switch more {
		case 8, 12:
			protocol := p.order.Uint16(rest[4:])
			count(p.order.Uint32(rest) > 10_000) // interfaces
			count(protocol > 0x17 && protocol < 0x600 && protocol != 0x60 && protocol != 0x200 && protocol != 0x400)
			count(rest[6] > 4) // kinds
		case 4:
			count(p.order.Uint32(rest)&0x0fff00f0 != 0x0fbf0000)
		}
		if captured > maxPacket || int(captured) > len(rest)-more {
			return odd + 1
		}
		ahead = rest[more+int(captured):]
	}
	return odd
}
