package capture

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"slices"
	"time"
)

// Bounds of a pcapng file.
const (
	// maxInterfaces is how many interfaces a section may describe.
	maxInterfaces = 4096
	// maxBody is how many bytes of a block are read: what is behind them are options.
	maxBody = 1 << 20
)

// Types of blocks that are read (draft-ietf-opsawg-pcapng). Others are left out: names of hosts, keys, statistics and what is not known.
const (
	blockInterface      = 1
	blockPacket         = 2 // obsolete
	blockSimplePacket   = 3
	blockEnhancedPacket = 6
	blockJournal        = 9 // of systemd; has a packet's number in TShark
	blockSection        = 0x0a0d0d0a
)

const (
	// minBlock is the length of a block without a body: type, length, length.
	minBlock = 12
	// byteOrderMagic is the first word of a section's body.
	byteOrderMagic = 0x1a2b3c4d
)

// pcapng reads the format block by block.
type pcapng struct {
	r      *bufio.Reader
	order  binary.ByteOrder
	offset int64 // of the next block, in the file

	unreadable error // why no packet of the section can be read; nil: they can
	interfaces []pcapngInterface
	before     time.Time // of the packet before; 1970 before the first
	head       [minBlock]byte
	buffer     []byte // of the last block
}

// pcapngInterface is what packets need of the interface that they were captured on.
type pcapngInterface struct {
	err       error // its description makes no sense
	link      linkType
	snapshot  uint32 // bytes that are captured of a packet; 0: all
	perSecond uint64 // units of time
	offset    int64  // of times, in seconds
}

// block is one with its body, which holds until the next one is read.
type block struct {
	kind uint32
	at   int64 // offset in the file
	body []byte
}

func (b *block) err(err error, text string, values ...any) error {
	return fmt.Errorf("%w: block at byte %d: %s", err, b.at, fmt.Sprintf(text, values...))
}

func (s *pcapng) next() (record, error) {
	for {
		b, err := s.read()
		if err != nil {
			return record{}, err
		}
		switch b.kind {
		case blockSection:
			err = s.section(&b)
		case blockInterface:
			err = s.describe(&b)
		case blockPacket, blockSimplePacket, blockEnhancedPacket:
			p, err := s.packet(&b)
			return p, skip(err)
		case blockJournal:
			return record{}, skip(errors.New("an entry of a systemd journal"))
		}
		if err != nil {
			return record{}, err
		}
	}
}

// read reads a block.
func (s *pcapng) read() (block, error) {
	b, head := block{at: s.offset}, s.head[:]
	if n, err := io.ReadFull(s.r, head[:8]); err != nil {
		if n == 0 && errors.Is(err, io.EOF) {
			return b, io.EOF
		}
		return b, cut(err)
	}
	if binary.LittleEndian.Uint32(head) == blockSection { // the same in both byte orders
		magic, err := s.r.Peek(4)
		if err != nil {
			return b, cut(err)
		}
		if s.order = binary.ByteOrder(binary.LittleEndian); s.order.Uint32(magic) != byteOrderMagic {
			s.order = binary.BigEndian
		}
		if s.order.Uint32(magic) != byteOrderMagic {
			return b, b.err(ErrDamage, "a section whose byte order is %x", magic)
		}
	}
	b.kind = s.order.Uint32(head)
	claimed := s.order.Uint32(head[4:])
	length := (int64(claimed) + 3) &^ 3 // some writers do not count the padding
	if length < minBlock {
		return b, b.err(ErrDamage, "it has %d bytes, at least %d are needed", claimed, minBlock)
	}
	s.offset += length
	if err := s.body(&b, length-minBlock); err != nil {
		return b, err
	}
	if _, err := io.ReadFull(s.r, head[8:]); err != nil {
		return b, cut(err)
	}
	if again := s.order.Uint32(head[8:]); again != claimed {
		return b, b.err(ErrDamage, "it has %d bytes by its first length, and %d by its last", claimed, again)
	}
	return b, nil
}

// body reads that of a block that is of use, and leaves out any other's.
func (s *pcapng) body(b *block, length int64) error {
	switch b.kind {
	case blockSection, blockInterface, blockPacket, blockSimplePacket, blockEnhancedPacket:
		s.buffer = slices.Grow(s.buffer[:0], maxBody)[:min(length, maxBody)]
		b.body = s.buffer
	}
	if _, err := io.ReadFull(s.r, b.body); err != nil {
		return cut(err)
	}
	_, err := s.r.Discard(int(length) - len(b.body))
	return cut(err)
}

// section begins a section. The packets of one that has another version are skipped.
func (s *pcapng) section(b *block) error {
	s.interfaces, s.unreadable = s.interfaces[:0], nil
	if len(b.body) < 16 {
		return b.err(ErrDamage, "a section's description of %d bytes", len(b.body))
	}
	// 1.2 is what some writers call 1.0.
	if major, minor := s.order.Uint16(b.body[4:]), s.order.Uint16(b.body[6:]); major != 1 || minor != 0 && minor != 2 {
		s.unreadable = b.err(ErrFormat, "a section of pcapng version %d.%d, 1.0 is read", major, minor)
	}
	return nil
}

// describe takes an interface.
func (s *pcapng) describe(b *block) error {
	if len(s.interfaces) == maxInterfaces {
		return b.err(ErrTooLarge, "interface %d of its section, at most %d are read", maxInterfaces+1, maxInterfaces)
	}
	i := pcapngInterface{perSecond: 1e6}
	if len(b.body) < 8 {
		i.err = b.err(ErrDamage, "an interface's description of %d bytes", len(b.body))
	} else {
		i.link, i.snapshot = linkType(s.order.Uint16(b.body)), s.order.Uint32(b.body[4:])
		s.options(&i, b.body[8:])
	}
	s.interfaces = append(s.interfaces, i)
	return nil
}

// options reads those of an interface's options that say what its packets' times mean.
func (s *pcapng) options(i *pcapngInterface, b []byte) {
	const end, resolution, offset = 0, 9, 14
	for len(b) >= 4 {
		code, length := s.order.Uint16(b), int(s.order.Uint16(b[2:]))
		value := b[4:]
		if code == end || length > len(value) {
			return
		}
		switch {
		case code == resolution && length == 1:
			i.perSecond = unitsPerSecond(value[0])
		case code == offset && length == 8:
			i.offset = int64(s.order.Uint64(value))
		}
		b = value[min(len(value), (length+3)&^3):]
	}
}

// unitsPerSecond returns how many units of time a second has, by the option if_tsresol: a power of 10, or of 2; 0 if they do
// not fit.
func unitsPerSecond(resolution byte) uint64 {
	exponent := resolution & 0x7f
	if resolution&0x80 != 0 {
		return 1 << exponent
	}
	units := uint64(1)
	for range exponent {
		high, low := bits.Mul64(units, 10)
		if high != 0 {
			return 0
		}
		units = low
	}
	return units
}

// packet reads a packet of any kind.
func (s *pcapng) packet(b *block) (record, error) {
	if s.unreadable != nil {
		return record{}, s.unreadable
	}
	header := 20
	if b.kind == blockSimplePacket {
		header = 4
	}
	if len(b.body) < header {
		return record{}, b.err(ErrDamage, "a packet's block of %d bytes, at least %d are needed", len(b.body)+minBlock, header+minBlock)
	}
	var number, captured, wire uint32
	switch b.kind {
	case blockSimplePacket:
		wire = s.order.Uint32(b.body)
	case blockPacket:
		number = uint32(s.order.Uint16(b.body))
	default:
		number = s.order.Uint32(b.body)
	}
	if uint64(number) >= uint64(len(s.interfaces)) {
		return record{}, b.err(ErrDamage, "a packet of interface %d, but %d are described", number, len(s.interfaces))
	}
	i := &s.interfaces[number]
	if i.err != nil {
		return record{}, i.err
	}
	if b.kind == blockSimplePacket {
		captured = min(wire, uint32(len(b.body)-header))
		if i.snapshot != 0 {
			captured = min(captured, i.snapshot)
		}
	} else {
		captured, wire = s.order.Uint32(b.body[12:]), s.order.Uint32(b.body[16:])
		at, err := i.time(uint64(s.order.Uint32(b.body[4:]))<<32 | uint64(s.order.Uint32(b.body[8:])))
		if err != nil {
			return record{}, b.err(ErrDamage, "%v", err)
		}
		s.before = at
	}
	if uint64(captured) > uint64(len(b.body)-header) || captured > maxPacket {
		return record{}, b.err(ErrDamage, "%d bytes were captured of a packet, its block has %d, and at most %d can be", captured,
			len(b.body)-header, maxPacket)
	}
	return record{link: i.link, time: s.before, data: bytes.Clone(b.body[header : header+int(captured)]), length: int(wire)}, nil
}

// time returns that of a number of an interface's units since 1970.
func (i *pcapngInterface) time(units uint64) (time.Time, error) {
	if i.perSecond == 0 {
		return time.Time{}, errors.New("a time whose units are too small")
	}
	high, low := bits.Mul64(units%i.perSecond, 1e9)
	fraction, _ := bits.Div64(high, low, i.perSecond)
	seconds := units / i.perSecond
	const most = 1 << 32 // the sum is before 2262, up to which nanoseconds can be counted
	if seconds > most || i.offset > most || i.offset < -most {
		return time.Time{}, fmt.Errorf("a time %d s after 1970, with an offset of %d s", seconds, i.offset)
	}
	return time.Unix(int64(seconds)+i.offset, int64(fraction)).UTC(), nil
}
