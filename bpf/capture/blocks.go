package capture

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// Bounds of a pcapng file. The library keeps what describes a section in memory until the section ends, whatever its size.
const (
	// maxInterfaces is how many interfaces a section may describe.
	maxInterfaces = 4096
	// maxInterfaceBytes is how many bytes a section's descriptions of interfaces may have: names, comments, filters.
	maxInterfaceBytes = 4 << 20
	// maxSectionHeader is how many bytes the description of a section may have.
	maxSectionHeader = 1 << 20
)

// Types of blocks that are read (draft-ietf-opsawg-pcapng). Others are left out: names of hosts, keys, statistics and what is not known.
const (
	blockInterface      = 1
	blockPacket         = 2 // obsolete
	blockSimplePacket   = 3
	blockEnhancedPacket = 6
	blockSection        = 0x0a0d0d0a
)

// minBlock is the length of a block without a body: type, length, length.
const minBlock = 12

// blocks passes on a pcapng file block by block, within the bounds.
type blocks struct {
	r      *bufio.Reader
	order  binary.ByteOrder
	offset int64 // in the file, of what is read next
	buffer [minBlock]byte
	head   []byte // of the buffer, that is passed on next
	body   int64  // bytes of the block behind the head

	interfaces     int // of the section
	interfaceBytes int64
}

// Read implements io.Reader.
func (b *blocks) Read(p []byte) (int, error) {
	for len(b.head) == 0 && b.body == 0 {
		if err := b.next(); err != nil {
			return 0, err
		}
	}
	if len(b.head) > 0 {
		n := copy(p, b.head)
		b.head = b.head[n:]
		return n, nil
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.body)])
	b.offset += int64(n)
	b.body -= int64(n)
	return n, err // a file that ends here is cut, which the library reports
}

// next reads the head of a block that is passed on.
func (b *blocks) next() error {
	head := b.buffer[:]
	at := b.offset
	n, err := io.ReadFull(b.r, head[:8])
	b.offset += int64(n)
	if err != nil {
		b.head = head[:n] // the library tells an end from a cut
		if n == 0 {
			return err
		}
		return nil
	}
	size := 8
	if binary.LittleEndian.Uint32(head) == blockSection { // the same in both byte orders
		if n, err = io.ReadFull(b.r, head[8:12]); err != nil {
			b.head = head[:8+n]
			return nil //nolint:nilerr // the library finds the cut
		}
		b.offset += int64(n)
		size = 12
		if b.order = binary.ByteOrder(binary.LittleEndian); head[8] == 0x1a { // of 0x1a2b3c4d
			b.order = binary.BigEndian
		}
	}
	if b.order == nil {
		return fmt.Errorf("%w: block at byte %d: it is before the first section", ErrDamage, at)
	}
	kind, length := b.order.Uint32(head), int64(b.order.Uint32(head[4:]))
	if length < minBlock || length < int64(size) {
		return fmt.Errorf("%w: block at byte %d: it has %d bytes, at least %d are needed", ErrDamage, at, length, minBlock)
	}
	b.body = length - int64(size)
	if !isRead(kind) {
		skipped, err := b.r.Discard(int(b.body))
		b.offset += int64(skipped)
		b.body = 0
		if err != nil { // the library finds the cut
			b.head = head[:8]
		}
		return nil
	}
	b.head = head[:size]
	return b.bound(kind, length, at)
}

func isRead(kind uint32) bool {
	switch kind {
	case blockSection, blockInterface, blockPacket, blockSimplePacket, blockEnhancedPacket:
		return true
	}
	return false
}

// bound reports a block that makes its section too large.
func (b *blocks) bound(kind uint32, length, at int64) error {
	switch kind {
	case blockSection:
		b.interfaces, b.interfaceBytes = 0, 0
		if length > maxSectionHeader {
			return fmt.Errorf("%w: block at byte %d: the description of a section has %d bytes, at most %d are read", ErrTooLarge, at, length, maxSectionHeader)
		}
	case blockInterface:
		b.interfaces++
		b.interfaceBytes += length
		if b.interfaces > maxInterfaces {
			return fmt.Errorf("%w: block at byte %d: interface %d of its section, at most %d are read", ErrTooLarge, at, b.interfaces, maxInterfaces)
		}
		if b.interfaceBytes > maxInterfaceBytes {
			return fmt.Errorf("%w: block at byte %d: the interfaces of its section are described by %d bytes, at most %d are read", ErrTooLarge, at,
				b.interfaceBytes, maxInterfaceBytes)
		}
	}
	return nil
}
