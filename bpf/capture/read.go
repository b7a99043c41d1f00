package capture

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// Frame is one captured packet as an Ethernet frame.
type Frame struct {
	Number int       // from 1, in the file
	Time   time.Time // a packet of a kind that has none (pcapng's simple packets): that of the packet before it
	Data   []byte    // what was captured of it, from the Ethernet header on
	Length int       // bytes that it had on the wire, from the Ethernet header on; at least len(Data)
}

// Capture is what was read of a file.
type Capture struct {
	Frames  []Frame
	Skipped []Skipped // packets that cannot be replayed, by what is wrong with them
}

// Skipped are packets of a file that are left out for one reason. All others are read.
type Skipped struct { //nolint:errname // packets, of which one property is an error
	First, Last int // numbers in the file, from 1
	Count       int
	Err         error
}

func (s Skipped) Error() string {
	if s.Count == 1 {
		return fmt.Sprintf("packet %d: skipped: %v", s.First, s.Err)
	}
	return fmt.Sprintf("packets %d to %d: %d skipped: %v", s.First, s.Last, s.Count, s.Err)
}

func (s Skipped) Unwrap() error { return s.Err }

// Errors of files, and of packets.
var (
	ErrEmpty  = errors.New("no packets")
	ErrFormat = errors.New("not a capture file (pcap or pcapng)")
	ErrCut    = errors.New("the file is cut")
	ErrDamage = errors.New("the file is damaged")
	ErrLink   = errors.New("link type that cannot be replayed")
	// ErrTooLarge means that a file has more of something than is read.
	ErrTooLarge = errors.New("the file has too much in it")
)

// Bounds of a capture, which is kept in memory whole.
const (
	maxFrames = 1 << 24
	maxBytes  = 4 << 30 // that were captured
	// maxPacket is how many bytes of a packet can have been captured: as many as libpcap and TShark take.
	maxPacket = 256 << 10
	// maxReasons is how many reasons for a skipped packet are kept apart; packets that have others are counted with the last one.
	maxReasons = 64
)

// ReadFile reads a whole capture. A file that ends in the middle of a packet is ErrCut, with the frames before it; so is
// one that makes no sense from a packet on, ErrDamage.
func ReadFile(path string) (Capture, error) {
	f, err := os.Open(path)
	if err != nil {
		return Capture{}, err
	}
	defer f.Close()
	c, err := Read(f)
	if err != nil {
		return c, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// record is a packet as it lies in a file.
type record struct {
	link   linkType
	time   time.Time
	data   []byte // captured
	length int    // on the wire
}

// source is one of the two formats. The error io.EOF is the file's end; a Skipped error is that of one packet, and others follow it.
type source interface {
	next() (record, error)
}

// Read reads a whole capture: what TShark reads, save for compressed files. If no packet can be replayed the error says why.
func Read(r io.Reader) (Capture, error) {
	var c Capture
	src, err := open(bufio.NewReaderSize(r, peekSize))
	if err != nil {
		return c, err
	}
	captured := 0
	for number := 1; ; number++ {
		p, err := src.next()
		if errors.Is(err, io.EOF) {
			return c, c.emptiness()
		}
		var frame Frame
		if err == nil {
			frame, err = toEthernet(p)
			err = skip(err)
		}
		if captured += len(p.data); number > maxFrames || captured > maxBytes {
			return c, fmt.Errorf("packet %d: %w: at most %d packets with %d bytes are read", number, ErrTooLarge, maxFrames, maxBytes)
		}
		if s, ok := errors.AsType[skipped](err); ok {
			c.skip(number, s.error)
			continue
		}
		if err != nil {
			return c, fmt.Errorf("packet %d: %w", number, err)
		}
		frame.Number = number
		c.Frames = append(c.Frames, frame)
	}
}

// skipped marks the error of one packet.
type skipped struct{ error }

func skip(err error) error {
	if err == nil {
		return nil
	}
	return skipped{err}
}

func (c *Capture) skip(number int, err error) {
	for i := range c.Skipped {
		if s := &c.Skipped[i]; i == maxReasons-1 || s.Err.Error() == err.Error() {
			s.Last, s.Count = number, s.Count+1
			return
		}
	}
	c.Skipped = append(c.Skipped, Skipped{First: number, Last: number, Count: 1, Err: err})
}

// emptiness is the error of a file without a packet that can be replayed.
func (c *Capture) emptiness() error {
	if len(c.Frames) > 0 {
		return nil
	}
	if len(c.Skipped) == 0 {
		return ErrEmpty
	}
	err := c.SkipError()
	c.Skipped = nil
	return err
}

// SkipError returns an error that names all that was skipped; nil if nothing was.
func (c *Capture) SkipError() error {
	errs := make([]error, len(c.Skipped))
	for i, s := range c.Skipped {
		errs[i] = s
	}
	return errors.Join(errs...)
}

func open(r *bufio.Reader) (source, error) {
	magic, err := r.Peek(4)
	if errors.Is(err, io.EOF) {
		if len(magic) == 0 {
			return nil, fmt.Errorf("%w: the file is empty", ErrEmpty)
		}
		return nil, fmt.Errorf("%w: %d bytes", ErrFormat, len(magic))
	}
	if err != nil {
		return nil, err
	}
	const gzip = 0x8b1f
	switch first := binary.LittleEndian.Uint32(magic); {
	case first == blockSection:
		return &pcapng{r: r, before: time.Unix(0, 0).UTC()}, nil
	case first&0xffff == gzip: // a small one can be a large capture
		return nil, fmt.Errorf("%w: it is compressed: unpack it first", ErrFormat)
	}
	return openPcap(r)
}

// readPacket returns a packet's bytes. Memory is taken as they arrive: a length is only what the file claims.
func readPacket(r *bufio.Reader, length int) ([]byte, error) {
	data := make([]byte, length)
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, cut(err)
	}
	return data, nil
}

// cut returns the error of a read that must not meet the file's end.
func cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrCut
	}
	return err
}
