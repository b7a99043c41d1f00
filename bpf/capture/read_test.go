package capture

import (
	"bytes"
	"errors"
	"net/netip"
	"slices"
	"strings"
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

const linkWireless linkType = 105 // IEEE 802.11

// file returns a pcap file of a link type.
func file(t *testing.T, link linkType, packets ...[]byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := pcapgo.NewWriterNanos(&out)
	if err := w.WriteFileHeader(65536, layers.LinkType(link)); err != nil {
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

// linkHeader returns a link's header before an IPv4 packet; nil for Ethernet, whose frames have theirs.
func linkHeader(link linkType) []byte {
	switch link {
	case linkNull, linkLoop:
		return make([]byte, 4)
	case linkLinuxSLL:
		return append(make([]byte, 14), 0x08, 0x00)
	case linkLinuxSLL2:
		return append([]byte{0x08, 0x00}, make([]byte, 18)...)
	default:
		return nil
	}
}

// asEthernet puts an IPv4 packet behind an Ethernet header.
func asEthernet(ip []byte) []byte {
	return append(append(make([]byte, 12), 0x08, 0x00), ip...)
}

func TestReadEveryLinkAsEthernet(t *testing.T) {
	ip := packet(1, 2, 2)
	want := asEthernet(ip)
	for _, link := range []linkType{linkRaw, linkRawBSD, linkRawOpenBSD, linkIPv4, linkNull, linkLoop, linkLinuxSLL, linkLinuxSLL2} {
		got, err := Read(bytes.NewReader(file(t, link, append(linkHeader(link), ip...))))
		if err != nil || len(got.Frames) != 1 || !bytes.Equal(got.Frames[0].Data, want) || got.Frames[0].Length != len(want) {
			t.Errorf("%v: %v, %v", link, got, err)
		}
	}
	got, err := Read(bytes.NewReader(file(t, linkEthernet, want)))
	if err != nil || len(got.Frames) != 1 || !bytes.Equal(got.Frames[0].Data, want) || got.Frames[0].Number != 1 {
		t.Errorf("Ethernet: %v, %v", got, err)
	}
}

// TestReadTakesTheLinksProtocol: a packet that is not IP stays one, whatever its first byte is.
func TestReadTakesTheLinksProtocol(t *testing.T) {
	arp := append(append(make([]byte, 14), 0x08, 0x06), packet(1, 2, 2)...)
	got, err := Read(bytes.NewReader(file(t, linkLinuxSLL, arp)))
	if err != nil || got.Frames[0].Data[12] != 0x08 || got.Frames[0].Data[13] != 0x06 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestReadRefuses(t *testing.T) {
	whole := file(t, linkEthernet, asEthernet(packet(1, 2, 2)))
	damaged := bytes.Clone(whole)
	damaged[34] = 0xff // the first packet's captured length
	for name, c := range map[string]struct {
		content []byte
		want    error
		text    string
	}{
		"an empty file":       {nil, ErrEmpty, "empty"},
		"no packets":          {file(t, linkEthernet), ErrEmpty, "no packets"},
		"three bytes":         {[]byte{1, 2, 3}, ErrFormat, "3 bytes"},
		"text":                {[]byte("these are no packets at all, but text"), ErrFormat, "pcap"},
		"a cut header":        {whole[:20], ErrFormat, "pcap"},
		"a cut packet":        {whole[:len(whole)-1], ErrCut, "packet 1"},
		"a cut packet header": {whole[:30], ErrCut, "packet 1"},
		"a packet's header":   {whole[:40], ErrCut, "packet 1"},
		"impossible lengths":  {damaged, ErrDamage, "packet 1"},
		"another link":        {file(t, linkWireless, packet(1, 2, 2)), ErrLink, "packet 1"},
	} {
		if _, err := Read(bytes.NewReader(c.content)); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// TestReadWhatWasCaptured: a packet that the capture cut has its bytes, and its length on the wire.
func TestReadWhatWasCaptured(t *testing.T) {
	for link, header := range map[linkType]int{linkEthernet: 14, linkRaw: 0, linkLinuxSLL: 16} {
		whole := append(linkHeader(link), packet(1, 2, 2)...)
		if link == linkEthernet {
			whole = asEthernet(packet(1, 2, 2))
		}
		for captured := range len(whole) {
			var out bytes.Buffer
			w := pcapgo.NewWriterNanos(&out)
			info := gopacket.CaptureInfo{CaptureLength: captured, Length: len(whole) + 5}
			if err := errors.Join(w.WriteFileHeader(65536, layers.LinkType(link)), w.WritePacket(info, whole[:captured])); err != nil {
				t.Fatal(err)
			}
			got, err := Read(&out)
			if err != nil {
				t.Fatal(err)
			}
			want := asEthernet(packet(1, 2, 2))[:max(0, captured-header+14)]
			if link != linkEthernet && captured < header {
				want = nil // not a whole link header
			}
			if f := got.Frames[0]; !bytes.Equal(f.Data, want) || f.Length != len(whole)-header+14+5 {
				t.Errorf("%v, %d bytes captured: %d bytes of %d, want %d", link, captured, len(f.Data), f.Length, len(want))
			}
		}
	}
}

func TestInitiators(t *testing.T) {
	const syn, ack = 2, 16
	frame := func(from, to, flags byte) Frame {
		return Frame{Data: asEthernet(packet(from, to, flags))}
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
		if tcp, udp := Count(c.frames); tcp != 1 || udp != 0 {
			t.Errorf("%s: %d TCP and %d UDP flows, want 1 and 0", name, tcp, udp)
		}
		for _, f := range c.frames {
			if toward := f.Data[14+19]; sides.IsRX(f) != (toward == c.local) {
				t.Errorf("%s: a packet to %d: %v", name, toward, sides.IsRX(f))
			}
		}
	}
}

func TestLocalPrefix(t *testing.T) {
	sides := LocalPrefix(netip.MustParsePrefix("192.0.2.2/32"))
	to := Frame{Data: asEthernet(packet(1, 2, 2))}
	from := Frame{Data: asEthernet(packet(2, 1, 2))}
	if !sides.IsRX(to) || sides.IsRX(from) || !sides.IsRX(Frame{Data: []byte{1}}) {
		t.Error("a packet goes the other way")
	}
}

// TestEndsOfWholeHeadersOnly: what the program does not take as a flow's must not say who opened it either.
func TestEndsOfWholeHeadersOnly(t *testing.T) {
	whole := asEthernet(packet(1, 2, 2))
	for name, c := range map[string]struct {
		change func([]byte) []byte
		want   bool
	}{
		"whole":                    {func(b []byte) []byte { return b }, true},
		"with a tag":               {func(b []byte) []byte { return slices.Insert(b, 12, 0x81, 0, 0, 5) }, true},
		"padded":                   {func(b []byte) []byte { return append(b, 0, 0, 0, 0, 0, 0) }, true},
		"length 0, by offload":     {func(b []byte) []byte { b[17] = 0; return b }, true},
		"cut in the TCP header":    {func(b []byte) []byte { return b[:len(b)-1] }, false},
		"IP ends in the header":    {func(b []byte) []byte { b[17] = 39; return b }, false},
		"TCP header of 16 bytes":   {func(b []byte) []byte { b[46] = 0x40; return b }, false},
		"IP header of 16 bytes":    {func(b []byte) []byte { b[14] = 0x44; return b }, false},
		"a later fragment":         {func(b []byte) []byte { b[21] = 1; return b }, false},
		"ICMP":                     {func(b []byte) []byte { b[23] = 1; return b }, false},
		"an IP length of one byte": {func(b []byte) []byte { b[17] = 1; return b }, false},
	} {
		f := Frame{Data: c.change(bytes.Clone(whole))}
		if proto, _, _, ok := f.Ends(); ok != c.want || ok && proto != protoTCP {
			t.Errorf("%s: protocol %d, %v, want %v", name, proto, ok, c.want)
		}
	}
}

// TestCalled: who gets a SYN-ACK without having sent a SYN is the local side, and only that was not asked for.
func TestCalled(t *testing.T) {
	const syn, rst, ack = 2, 4, 16
	frame := func(from, to, flags byte) Frame {
		return Frame{Data: asEthernet(packet(from, to, flags))}
	}
	for name, c := range map[string]struct {
		frames  []Frame
		local   byte
		unasked bool
	}{
		"a reflection":     {[]Frame{frame(1, 2, syn|ack), frame(2, 1, rst)}, 2, true},
		"a connection":     {[]Frame{frame(2, 1, syn), frame(1, 2, syn|ack)}, 1, false},
		"an older one":     {[]Frame{frame(2, 1, ack), frame(1, 2, ack)}, 1, false},
		"in another order": {[]Frame{frame(1, 2, syn|ack), frame(2, 1, syn)}, 1, false},
	} {
		sides := Called(c.frames)
		for _, f := range c.frames {
			if toward := f.Data[14+19]; sides.IsRX(f) != (toward == c.local) || sides.Unasked(f) != c.unasked || Initiators(c.frames).Unasked(f) {
				t.Errorf("%s: a packet to %d: rx %v, unasked %v", name, toward, sides.IsRX(f), sides.Unasked(f))
			}
		}
	}
}
