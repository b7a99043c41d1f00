package capture

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// Frame is one captured packet as an Ethernet frame.
type Frame struct {
	Number int // from 1, in the file
	Time   time.Time
	Data   []byte // what was captured of it, from the Ethernet header on
	Length int    // bytes that it had on the wire, from the Ethernet header on
}

// Errors of files.
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
)

// ReadFile reads a whole capture. A file that ends in the middle of a packet is ErrCut, with the frames before it; so is
// one that makes no sense from a packet on, ErrDamage.
func ReadFile(path string) ([]Frame, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	frames, err := Read(f)
	if err != nil {
		return frames, fmt.Errorf("%s: %w", path, err)
	}
	return frames, nil
}

// source is one of the two formats.
type source interface {
	ReadPacketData() ([]byte, gopacket.CaptureInfo, error)
	LinkType() layers.LinkType
}

// Read reads a whole capture.
func Read(r io.Reader) ([]Frame, error) {
	src, err := open(bufio.NewReader(r))
	if err != nil {
		return nil, err
	}
	var frames []Frame
	captured := 0
	for number := 1; ; number++ {
		data, info, err := src.ReadPacketData()
		if errors.Is(err, io.EOF) && info.CaptureLength == 0 {
			if len(frames) == 0 {
				return nil, ErrEmpty
			}
			return frames, nil
		}
		if err != nil {
			return frames, fmt.Errorf("packet %d: %w", number, unreadable(err))
		}
		if captured += len(data); number > maxFrames || captured > maxBytes {
			return frames, fmt.Errorf("packet %d: %w: at most %d packets with %d bytes are read", number, ErrTooLarge, maxFrames, maxBytes)
		}
		frame, err := toEthernet(data, info, linkType(src, info))
		if err != nil {
			return frames, fmt.Errorf("packet %d: %w", number, err)
		}
		frame.Number = number
		frames = append(frames, frame)
	}
}

// unreadable tells a file that ends too early from one with figures that cannot be.
func unreadable(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrCut
	}
	if errors.Is(err, ErrTooLarge) || errors.Is(err, ErrDamage) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrDamage, err)
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
	var src source
	switch first := binary.LittleEndian.Uint32(magic); {
	case first == blockSection:
		src, err = pcapgo.NewNgReader(&blocks{r: r}, pcapgo.NgReaderOptions{WantMixedLinkType: true})
	case first&0xffff == gzip: // a small one can be a large capture
		return nil, fmt.Errorf("%w: it is compressed: unpack it first", ErrFormat)
	default:
		src, err = pcapgo.NewReader(r)
	}
	if errors.Is(err, ErrTooLarge) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return src, nil
}

// linkType returns that of a packet: in pcapng each interface has its own.
func linkType(src source, info gopacket.CaptureInfo) layers.LinkType {
	if ng, ok := src.(*pcapgo.NgReader); ok {
		if i, err := ng.Interface(info.InterfaceIndex); err == nil {
			return i.LinkType
		}
	}
	return src.LinkType()
}

// Link types beside Ethernet, as the file formats number them (https://www.tcpdump.org/linktypes.html).
const (
	linkNull      layers.LinkType = 0
	linkRawBSD    layers.LinkType = 12
	linkRaw       layers.LinkType = 101
	linkLoop      layers.LinkType = 108
	linkLinuxSLL  layers.LinkType = 113
	linkIPv4      layers.LinkType = 228
	linkIPv6      layers.LinkType = 229
	linkLinuxSLL2 layers.LinkType = 276
)

// toEthernet puts an Ethernet header in the place of another link's.
func toEthernet(data []byte, info gopacket.CaptureInfo, link layers.LinkType) (Frame, error) {
	frame := Frame{Time: info.Timestamp, Data: data, Length: max(info.Length, len(data))}
	header, etherType := 0, noEtherType
	switch link {
	case layers.LinkTypeEthernet:
		return frame, nil
	case linkRawBSD, linkRaw, linkIPv4, linkIPv6:
	case linkNull, linkLoop:
		header = 4
	case linkLinuxSLL:
		header, etherType = 16, 14
	case linkLinuxSLL2:
		header, etherType = 20, 0
	default:
		return Frame{}, fmt.Errorf("%w: %v", ErrLink, link)
	}
	frame.Length = max(frame.Length-header, 0) + ethernetHeader
	frame.Data = nil // cut before its link header's end: nothing can be said of it
	if len(data) >= header {
		frame.Data = append(ethernet(data, header, etherType), data[header:]...)
	}
	return frame, nil
}

const (
	ethernetHeader = 14
	noEtherType    = -1
)

// ethernet returns a header in the place of one that has its EtherType at an offset, or none: then the IP packet's first
// byte tells.
func ethernet(data []byte, header, etherType int) []byte {
	out := make([]byte, ethernetHeader, ethernetHeader+len(data)-header)
	switch {
	case etherType != noEtherType:
		copy(out[12:], data[etherType:etherType+2])
	case len(data) > header && data[header]>>4 == 6:
		binary.BigEndian.PutUint16(out[12:], uint16(layers.EthernetTypeIPv6))
	default:
		binary.BigEndian.PutUint16(out[12:], uint16(layers.EthernetTypeIPv4))
	}
	return out
}
