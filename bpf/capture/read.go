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
	Data   []byte // from the Ethernet header on; what the capture cut off is zeros
	Cut    bool   // the capture has less of it than was on the wire
}

// Errors of files.
var (
	ErrEmpty  = errors.New("no packets")
	ErrFormat = errors.New("not a capture file (pcap or pcapng)")
	ErrCut    = errors.New("the file is cut")
	ErrLink   = errors.New("link type that cannot be replayed")
)

// maxFrame bounds the length that a capture may claim for a packet, in bytes.
const maxFrame = 256 << 10

// ReadFile reads a whole capture. A file that ends in the middle of a packet is ErrCut, with the frames before it.
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
	for number := 1; ; number++ {
		data, info, err := src.ReadPacketData()
		switch {
		case errors.Is(err, io.EOF) && len(frames) == 0:
			return nil, ErrEmpty
		case errors.Is(err, io.EOF):
			return frames, nil
		case err != nil:
			return frames, fmt.Errorf("%w: packet %d: %w", ErrCut, number, err)
		}
		frame, err := toEthernet(data, info, linkType(src, info))
		if err != nil {
			return frames, fmt.Errorf("packet %d: %w", number, err)
		}
		frame.Number = number
		frames = append(frames, frame)
	}
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
	const pcapng = 0x0a0d0d0a // the same in both byte orders
	var src source
	if binary.LittleEndian.Uint32(magic) == pcapng {
		src, err = pcapgo.NewNgReader(r, pcapgo.NgReaderOptions{WantMixedLinkType: true})
	} else {
		src, err = pcapgo.NewReader(r)
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

// toEthernet puts an Ethernet header in the place of another link's, and zeros in the place of what was cut off.
func toEthernet(data []byte, info gopacket.CaptureInfo, link layers.LinkType) (Frame, error) {
	header := 0
	switch link {
	case layers.LinkTypeEthernet:
		header = -1
	case linkRawBSD, linkRaw, linkIPv4, linkIPv6:
	case linkNull, linkLoop:
		header = 4
	case linkLinuxSLL:
		header = 16
	case linkLinuxSLL2:
		header = 20
	default:
		return Frame{}, fmt.Errorf("%w: %v", ErrLink, link)
	}
	length := max(info.Length, len(data))
	if length > maxFrame {
		return Frame{}, fmt.Errorf("%w: a packet of %d bytes, at most %d", ErrCut, length, maxFrame)
	}
	whole := make([]byte, length)
	copy(whole, data)
	if header >= 0 {
		if len(data) <= header {
			return Frame{}, fmt.Errorf("%w: %d bytes have no %v header", ErrCut, len(data), link)
		}
		whole = append(ethernet(whole[header]), whole[header:]...)
	}
	return Frame{Time: info.Timestamp, Data: whole, Cut: len(data) < length}, nil
}

// ethernet returns a header for an IP packet that begins with a byte.
func ethernet(first byte) []byte {
	header := make([]byte, 14)
	binary.BigEndian.PutUint16(header[12:], uint16(layers.EthernetTypeIPv4))
	if first>>4 == 6 {
		binary.BigEndian.PutUint16(header[12:], uint16(layers.EthernetTypeIPv6))
	}
	return header
}
