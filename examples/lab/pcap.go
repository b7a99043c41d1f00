package lab

import (
	"bufio"
	"fmt"
	"io"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// pcapFile writes a capture file with nanoseconds (magic 0xa1b23c4d). A format without room for gso_size:
// merged packets are written as their segments, so that the figures can be summed up from the file alone.
type pcapFile struct {
	buffer *bufio.Writer
	out    *pcapgo.Writer
}

// pcapSnapLen is what tcpdump and wireshark write.
const pcapSnapLen = 262144

func newPcapFile(w io.Writer) (*pcapFile, error) {
	buffer := bufio.NewWriter(w)
	out := pcapgo.NewWriterNanos(buffer)
	if err := out.WriteFileHeader(pcapSnapLen, layers.LinkTypeEthernet); err != nil {
		return nil, fmt.Errorf("write pcap header: %w", err)
	}
	return &pcapFile{buffer: buffer, out: out}, nil
}

// write writes a packet whose Data is whole.
func (f *pcapFile) write(p Packet) error {
	frames := [][]byte{p.Data}
	if p.GSOSize > 0 {
		var err error
		if frames, err = splitGSO(p.Data, p.GSOSize); err != nil {
			return fmt.Errorf("write pcap: %w", err)
		}
	}
	for _, frame := range frames {
		info := gopacket.CaptureInfo{Timestamp: p.Wall, CaptureLength: len(frame), Length: len(frame)}
		if err := f.out.WritePacket(info, frame); err != nil {
			return fmt.Errorf("write pcap: %w", err)
		}
	}
	return nil
}

func (f *pcapFile) flush() error {
	if err := f.buffer.Flush(); err != nil {
		return fmt.Errorf("write pcap: %w", err)
	}
	return nil
}
