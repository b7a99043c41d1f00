package capture

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// packet returns an IPv4 TCP packet without Ethernet header.
func packet(from, to byte, flags byte) []byte {
	b := make([]byte, 40)
	b[0], b[3], b[9] = 0x45, 40, 6
	copy(b[12:], []byte{192, 0, 2, from, 192, 0, 2, to})
	b[21], b[23] = from, to // ports
	b[32], b[33] = 0x50, flags
	return b
}

// file returns a pcap file of a link type.
func file(t *testing.T, link layers.LinkType, packets ...[]byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := pcapgo.NewWriterNanos(&out)
	if err := w.WriteFileHeader(65536, link); err != nil {
		t.Fatal(err)
	}
	for i, p := range packets {
		info := gopacket.CaptureInfo{Timestamp: time.Unix(100, int64(i)), CaptureLength: len(p), Length: len(p)}
		if err := w.WritePacket(info, p); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

func TestReadEveryLinkAsEthernet(t *testing.T) {
	ip := packet(1, 2, 2)
	want := append(ethernet(ip[0]), ip...)
	for link, header := range map[layers.LinkType]int{
		layers.LinkTypeEthernet: -1, linkRaw: 0, linkRawBSD: 0, linkIPv4: 0, linkNull: 4, linkLoop: 4, linkLinuxSLL: 16, linkLinuxSLL2: 20,
	} {
		data := want
		if header >= 0 {
			data = append(make([]byte, header), ip...)
		}
		frames, err := Read(bytes.NewReader(file(t, link, data)))
		if err != nil || len(frames) != 1 || !bytes.Equal(frames[0].Data, want) || frames[0].Number != 1 {
			t.Errorf("%v: %v, %v", link, frames, err)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	whole := file(t, layers.LinkTypeEthernet, append(ethernet(0x45), packet(1, 2, 2)...))
	for name, c := range map[string]struct {
		content []byte
		want    error
	}{
		"an empty file":       {nil, ErrEmpty},
		"no packets":          {file(t, layers.LinkTypeEthernet), ErrEmpty},
		"three bytes":         {[]byte{1, 2, 3}, ErrFormat},
		"text":                {[]byte("these are no packets at all, but text"), ErrFormat},
		"a cut header":        {whole[:20], ErrFormat},
		"a cut packet":        {whole[:len(whole)-1], ErrCut},
		"a cut packet header": {whole[:30], ErrCut},
		"another link":        {file(t, layers.LinkTypeIEEE802_11, packet(1, 2, 2)), ErrLink},
		"a short link header": {file(t, linkLinuxSLL, []byte{1, 2, 3}), ErrCut},
	} {
		if _, err := Read(bytes.NewReader(c.content)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// TestReadFillsUp: what the capture cut off is zeros, so that lengths are the wire's.
func TestReadFillsUp(t *testing.T) {
	frame := append(ethernet(0x45), packet(1, 2, 2)...)
	var out bytes.Buffer
	w := pcapgo.NewWriterNanos(&out)
	if err := errors.Join(w.WriteFileHeader(65536, layers.LinkTypeEthernet),
		w.WritePacket(gopacket.CaptureInfo{CaptureLength: len(frame), Length: len(frame) + 5}, frame)); err != nil {
		t.Fatal(err)
	}
	frames, err := Read(&out)
	if err != nil || !frames[0].Cut || !bytes.Equal(frames[0].Data, append(frame, 0, 0, 0, 0, 0)) {
		t.Errorf("%v, %v", frames, err)
	}
}

func TestInitiators(t *testing.T) {
	const syn, ack = 2, 16
	frame := func(from, to, flags byte) Frame {
		return Frame{Data: append(ethernet(0x45), packet(from, to, flags)...)}
	}
	for name, c := range map[string]struct {
		frames []Frame
		local  byte
	}{
		"first SYN":             {[]Frame{frame(1, 2, ack), frame(2, 1, syn), frame(1, 2, syn)}, 1},
		"receiver of a SYN-ACK": {[]Frame{frame(1, 2, ack), frame(1, 2, syn|ack)}, 1},
		"first packet":          {[]Frame{frame(1, 2, ack), frame(2, 1, ack)}, 2},
	} {
		sides := Initiators(c.frames)
		for _, f := range c.frames {
			if toward := f.Data[14+19]; sides.IsRX(f) != (toward == c.local) || sides.Flows() != 1 {
				t.Errorf("%s: a packet to %d: %v", name, toward, sides.IsRX(f))
			}
		}
	}
}

func TestLocalPrefix(t *testing.T) {
	sides := LocalPrefix(netip.MustParsePrefix("192.0.2.2/32"))
	to := Frame{Data: append(ethernet(0x45), packet(1, 2, 2)...)}
	from := Frame{Data: append(ethernet(0x45), packet(2, 1, 2)...)}
	if !sides.IsRX(to) || sides.IsRX(from) || !sides.IsRX(Frame{Data: []byte{1}}) {
		t.Error("a packet goes the other way")
	}
}
