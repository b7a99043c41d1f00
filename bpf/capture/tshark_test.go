package capture

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// header returns a pcap file's header.
func header(order binary.ByteOrder, magic uint32, major, minor uint16, link uint32) []byte {
	b := make([]byte, pcapHeader)
	order.PutUint32(b, magic)
	order.PutUint16(b[4:], major)
	order.PutUint16(b[6:], minor)
	order.PutUint32(b[16:], 65535)
	order.PutUint32(b[20:], link)
	return b
}

// inPcap returns a packet with its header: the two lengths in the file's order, and what lies between header and packet.
func inPcap(order binary.ByteOrder, at, first, second int, more, data []byte) []byte {
	b := make([]byte, pcapPacketHeader)
	order.PutUint32(b, 1_700_000_000)
	order.PutUint32(b[4:], uint32(at))
	order.PutUint32(b[8:], uint32(first))
	order.PutUint32(b[12:], uint32(second))
	return slices.Concat(b, more, data)
}

// withOptions describes an interface.
func withOptions(order binary.ByteOrder, link uint16, snapshot uint32, options ...byte) []byte {
	body := make([]byte, 8)
	order.PutUint16(body, link)
	order.PutUint32(body[4:], snapshot)
	return newBlock(order, blockInterface, append(body, options...))
}

// on returns a packet of an interface, captured so many units after 1970, with a length on the wire.
func on(order binary.ByteOrder, number, wire uint32, units uint64, data []byte) []byte {
	b := enhanced(order, data)
	order.PutUint32(b[8:], number)
	order.PutUint32(b[12:], uint32(units>>32))
	order.PutUint32(b[16:], uint32(units))
	order.PutUint32(b[24:], wire)
	return b
}

// byteOrder is either of the two.
type byteOrder interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

// madeUp are files that others write, most of them not today.
func madeUp() map[string][]byte {
	files := map[string][]byte{}
	frame := asEthernet(packet(1, 2, 2))
	for _, order := range []byteOrder{binary.LittleEndian, binary.BigEndian} {
		pcap := func(name string, magic uint32, major, minor uint16, link uint32, packet func(n int) []byte) {
			file := header(order, magic, major, minor, link)
			if magic == magicIxia || magic == magicIxiaNano {
				file = append(file, 1, 2, 3, 4)
			}
			for n := range 5 {
				file = append(file, packet(n)...)
			}
			files[fmt.Sprintf("%s, %v", name, order)] = file
		}
		plain := func(n int) []byte { return inPcap(order, n, len(frame), len(frame)+n, nil, frame) }
		swapped := func(n int) []byte { return inPcap(order, n, len(frame)+n, len(frame), nil, frame) }
		longer := func(n int) []byte { return inPcap(order, n, len(frame), len(frame)-n, nil, frame) }
		with := func(more ...byte) func(int) []byte {
			return func(n int) []byte { return inPcap(order, n, len(frame), len(frame)+n, more, frame) }
		}
		for minor := range uint16(4) {
			pcap(fmt.Sprintf("pcap 2.%d", minor), magicPcap, 2, minor, 1, swapped)
		}
		pcap("pcap 2.3 as 2.4", magicPcap, 2, 3, 1, plain)
		pcap("pcap 2.2 of AIX", magicPcap, 2, 2, 6, swapped)
		pcap("pcap 543.0", magicPcap, 543, 0, 1, swapped)
		pcap("pcap 2.4", magicPcap, 2, 4, 1, plain)
		pcap("pcap 2.5", magicPcap, 2, 5, 1, plain)
		pcap("pcap 3.0", magicPcap, 3, 0, 1, plain)
		pcap("more captured than there was", magicPcap, 2, 4, 1, longer)
		pcap("nanoseconds", magicNanos, 2, 4, 1, plain)
		pcap("nanoseconds, 2.2", magicNanos, 2, 2, 1, swapped)
		pcap("with a check sum", magicPcap, 2, 4, 0x44000001, plain)
		pcap("Ixia", magicIxia, 2, 4, 1, plain)
		ifindex := order.AppendUint16(order.AppendUint32(nil, 2), 0x0800)
		pcap("modified", magicModified, 2, 4, 1, with(append(slices.Clone(ifindex), 0, 0)...))
		pcap("modified, of SuSE", magicModified, 2, 4, 1, with(append(slices.Clone(ifindex), 0, 0, 0, 0, 0, 0)...))
		pcap("modified, with pcap's number", magicPcap, 2, 4, 1, with(append(slices.Clone(ifindex), 0, 0)...))
		pcap("Nokia", magicPcap, 2, 4, 1, with(order.AppendUint32(nil, 0x9fbfb601)...))

		ng := func(name string, blocks ...[]byte) {
			files[fmt.Sprintf("%s, %v", name, order)] = slices.Concat(blocks...)
		}
		two := section(order)
		order.PutUint16(two[14:], 2)
		uncounted := on(order, 0, 54, 7, frame) // as its padding is
		order.PutUint32(uncounted[4:], uint32(len(uncounted)-2))
		order.PutUint32(uncounted[len(uncounted)-4:], uint32(len(uncounted)-2))
		obsolete := on(order, 0, 54, 8e6, frame)
		order.PutUint32(obsolete, blockPacket)
		simple := newBlock(order, blockSimplePacket, slices.Concat(order.AppendUint32(nil, 54), frame, []byte{0, 0}))
		cutShort := newBlock(order, blockSimplePacket, slices.Concat(order.AppendUint32(nil, 54), frame[:40]))
		ethernet := withOptions(order, 1, 0)
		resolution := func(r byte) []byte {
			return withOptions(order, 1, 0, slices.Concat(order.AppendUint16(nil, 9), order.AppendUint16(nil, 1), []byte{r, 0, 0, 0}, make([]byte, 4))...)
		}
		ng("pcapng 1.2", two, ethernet, on(order, 0, 54, 5e6, frame), on(order, 0, 60, 6e6, frame))
		ng("pcapng, more captured than there was", section(order), ethernet, on(order, 0, 50, 5e6, frame), on(order, 0, 60, 6e6, frame))
		ng("pcapng, obsolete packets", section(order), ethernet, obsolete, obsolete)
		ng("pcapng, simple packets", section(order), ethernet, on(order, 0, 54, 5e6, frame), simple, on(order, 0, 54, 6e6, frame))
		ng("pcapng, cut simple packets", section(order), withOptions(order, 1, 40), cutShort, on(order, 0, 54, 6e6, frame[:40]))
		ng("pcapng, padding not counted", section(order), ethernet, uncounted, on(order, 0, 54, 6e6, frame))
		ng("pcapng, a journal between", section(order), ethernet, on(order, 0, 54, 6e6, frame), newBlock(order, blockJournal, []byte("__REALTIME_TIMESTAMP=1\n\n")), on(order, 0, 54, 6e6, frame))
		for _, r := range []byte{0, 3, 9, 0x80, 0x8a, 0x9d} { // TShark 4.0 is wrong about finer ones
			ng(fmt.Sprintf("pcapng, units of %#x", r), section(order), resolution(r), on(order, 0, 54, 123456789, frame), on(order, 0, 54, 1<<40, frame))
		}
		offset := slices.Concat(order.AppendUint16(nil, 14), order.AppendUint16(nil, 8), order.AppendUint64(nil, 1_000_000_000))
		ng("pcapng, an offset", section(order), withOptions(order, 1, 0, offset...), on(order, 0, 54, 5e6, frame))
		ng("pcapng, another link between", section(order), ethernet, withOptions(order, 105, 0),
			on(order, 0, 54, 5e6, frame), on(order, 1, 54, 6e6, frame), on(order, 1, 54, 6e6, frame), on(order, 0, 54, 7e6, frame))
	}
	return files
}

// TestTSharkReadsTheSame: each file has the packets, with the lengths and times, that TShark finds in it; what is skipped has a number there.
func TestTSharkReadsTheSame(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		if os.Getenv("FIVETUPLE_NO_SKIP") == "1" {
			t.Fatal("must not be skipped here:", err)
		}
		t.Skip(err)
	}
	known, err := os.ReadFile("testdata/caplen-above-len.pcap")
	if err != nil {
		t.Fatal(err)
	}
	files := madeUp()
	files["caplen-above-len.pcap"] = known
	maps.DeleteFunc(files, func(name string, _ []byte) bool { // TShark takes a second for each: of the other byte order some will do
		name, big := strings.CutSuffix(name, ", BigEndian")
		return big && !slices.Contains([]string{"pcap 2.2 of AIX", "pcap 2.3", "pcap 2.4", "modified, of SuSE", "pcapng 1.2", "pcapng, obsolete packets"}, name)
	})
	for name, file := range files {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(path, file, 0o600); err != nil {
				t.Fatal(err)
			}
			command := exec.Command(tshark, "-n", "-r", path, "-T", "fields", "-e", "frame.number", "-e", "frame.cap_len", "-e", "frame.len", "-e", "frame.time_epoch")
			command.Env = append(os.Environ(), "HOME="+t.TempDir())
			want, err := command.Output()
			if err != nil {
				t.Fatalf("tshark: %v", err)
			}
			c, err := ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got := describe(&c)
			if len(c.Frames) == 0 || got != withoutUnread(string(want), &c) {
				t.Errorf("read\n%swant\n%s%v", got, want, c.SkipError())
			}
		})
	}
}

// describe has each packet as TShark does. A length on the wire below the captured one is not kept.
func describe(c *Capture) string {
	var out strings.Builder
	for _, f := range c.Frames {
		fmt.Fprintf(&out, "%d\t%d\t%d\t%s\n", f.Number, len(f.Data), f.Length, epoch(f.Time))
	}
	return out.String()
}

func epoch(at time.Time) string { return fmt.Sprintf("%d.%09d", at.Unix(), at.Nanosecond()) }

// withoutUnread leaves out the packets that were skipped, and makes TShark's lengths those that are kept. A simple packet has
// no time, and gets that of the packet before.
func withoutUnread(text string, c *Capture) string {
	var out strings.Builder
	before := epoch(time.Unix(0, 0))
	for line := range strings.Lines(text) {
		var number, captured, wire int
		var at string
		_, _ = fmt.Sscan(line, &number, &captured, &wire, &at)
		if at == "" {
			at = before
		}
		before = at
		if slices.ContainsFunc(c.Skipped, func(s Skipped) bool { return s.First <= number && number <= s.Last }) {
			continue
		}
		fmt.Fprintf(&out, "%d\t%d\t%d\t%s\n", number, captured, max(captured, wire), at)
	}
	return out.String()
}

// TestUnitsOfTime: those that are finer than nanoseconds, as the format defines them.
func TestUnitsOfTime(t *testing.T) {
	for _, c := range []struct {
		resolution byte
		units      uint64
		want       string
	}{
		{0, 7, "7.000000000"},
		{12, 1<<40 + 999, "1.099511628"},
		{18, 1 << 62, "4.611686018"},
		{19, 1 << 63, "0.922337203"},
		{0xbc, 1<<60 + 1<<40, "1.000000953"},
		{0xbf, 1<<63 + 1<<62, "1.500000000"},
	} {
		i := pcapngInterface{perSecond: unitsPerSecond(c.resolution)}
		if at, err := i.time(c.units); err != nil || epoch(at) != c.want {
			t.Errorf("%#x: %s, %v, want %s", c.resolution, epoch(at), err, c.want)
		}
	}
	for _, resolution := range []byte{20, 0x7f, 0xc0, 0xff} {
		if got := unitsPerSecond(resolution); got != 0 {
			t.Errorf("%#x: %d units a second", resolution, got)
		}
	}
}

// TestSkippedPacketsAreNamed: each by what is wrong, with its place and value, and what follows is read.
func TestSkippedPacketsAreNamed(t *testing.T) {
	order := binary.LittleEndian
	frame := asEthernet(packet(1, 2, 2))
	good := on(order, 0, 54, 5e6, frame)
	version := section(order)
	order.PutUint16(version[12:], 7)
	claims := bytes.Clone(good)
	order.PutUint32(claims[20:], 5000)
	begin := slices.Concat(section(order), withOptions(order, 1, 0))
	for name, c := range map[string]struct {
		file   []byte
		frames int
		want   string
		is     error
	}{
		"link": {
			slices.Concat(begin, withOptions(order, 105, 0), good, on(order, 1, 54, 5e6, frame), good, on(order, 1, 54, 5e6, frame), good), 3,
			"packets 2 to 4: 2 skipped: link type that cannot be replayed: 105", ErrLink,
		},
		"interface that is not there": {
			slices.Concat(begin, good, on(order, 7, 54, 5e6, frame), good), 2,
			"packet 2: skipped: the file is damaged: block at byte 136: a packet of interface 7, but 1 are described", ErrDamage,
		},
		"interface cut short": {
			slices.Concat(begin, newBlock(order, blockInterface, []byte{1, 0, 0, 0}), on(order, 1, 54, 5e6, frame), good), 1,
			"packet 1: skipped: the file is damaged: block at byte 48: an interface's description of 4 bytes", ErrDamage,
		},
		"captured length": {
			slices.Concat(begin, good, claims, good), 2,
			"packet 2: skipped: the file is damaged: block at byte 136: 5000 bytes were captured of a packet, its block has 56, and at most 262144 can be", ErrDamage,
		},
		"block too short": {
			slices.Concat(begin, newBlock(order, blockEnhancedPacket, make([]byte, 8)), good), 1,
			"packet 1: skipped: the file is damaged: block at byte 48: a packet's block of 20 bytes, at least 32 are needed", ErrDamage,
		},
		"section of another version": {
			slices.Concat(begin, good, version, withOptions(order, 1, 0), good, good, begin, good), 2,
			"packets 2 to 3: 2 skipped: not a capture file (pcap or pcapng): block at byte 136: a section of pcapng version 7.0, 1.0 is read", ErrFormat,
		},
		"time": {
			slices.Concat(begin, withOptions(order, 1, 0, 9, 0, 1, 0, 0, 0, 0, 0), good, on(order, 1, 54, 1<<63, frame), good), 2,
			"packet 2: skipped: the file is damaged: block at byte 164: a time 9223372036854775808 s after 1970, with an offset of 0 s", ErrDamage,
		},
	} {
		got, err := Read(bytes.NewReader(c.file))
		if err != nil || len(got.Frames) != c.frames || len(got.Skipped) != 1 || got.Skipped[0].Error() != c.want {
			t.Errorf("%s: %d frames, %v: %v, want %d, %q", name, len(got.Frames), err, got.SkipError(), c.frames, c.want)
		}
		if s := got.SkipError(); s == nil || !strings.Contains(fmt.Sprint(s), c.is.Error()) {
			t.Errorf("%s: %v", name, s)
		}
	}
	many := slices.Clone(begin)
	for n := range maxReasons + 10 {
		many = slices.Concat(many, on(order, uint32(n+1), 54, 5e6, frame))
	}
	got, err := Read(bytes.NewReader(append(many, good...)))
	if last := maxReasons - 1; err != nil || len(got.Frames) != 1 || len(got.Skipped) != maxReasons || got.Skipped[last].Count != 11 {
		t.Errorf("many reasons: %v, %v", got.SkipError(), err)
	}
	_, err = Read(bytes.NewReader(file(t, linkWireless, frame, frame)))
	if want := "packets 1 to 2: 2 skipped: link type that cannot be replayed: 105"; err == nil || err.Error() != want {
		t.Errorf("nothing but another link: %v, want %s", err, want)
	}
}
