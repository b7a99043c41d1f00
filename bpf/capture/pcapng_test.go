package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
)

// newBlock returns a pcapng block.
func newBlock(order binary.ByteOrder, kind uint32, body []byte) []byte {
	out := make([]byte, minBlock+len(body))
	order.PutUint32(out, kind)
	order.PutUint32(out[4:], uint32(len(out)))
	copy(out[8:], body)
	order.PutUint32(out[len(out)-4:], uint32(len(out)))
	return out
}

func section(order binary.ByteOrder) []byte {
	body := make([]byte, 16)
	order.PutUint32(body, 0x1a2b3c4d)
	order.PutUint16(body[4:], 1)
	return newBlock(order, blockSection, body)
}

// iface describes an interface, with a comment of a length.
func iface(order binary.ByteOrder, comment int) []byte {
	body := make([]byte, 8)
	order.PutUint16(body, uint16(linkEthernet))
	if comment > 0 {
		option := make([]byte, 4+comment)
		order.PutUint16(option, 1)
		order.PutUint16(option[2:], uint16(comment))
		body = append(body, option...)
	}
	return newBlock(order, blockInterface, body)
}

func enhanced(order binary.ByteOrder, data []byte) []byte {
	body := make([]byte, 20, 20+len(data)+3)
	order.PutUint32(body[12:], uint32(len(data)))
	order.PutUint32(body[16:], uint32(len(data)))
	body = append(body, data...)
	return newBlock(order, blockEnhancedPacket, append(body, make([]byte, (4-len(data)%4)%4)...))
}

func TestReadPcapng(t *testing.T) {
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		frame := asEthernet(packet(1, 2, 2))
		whole := bytes.Join([][]byte{
			section(order), newBlock(order, 4, bytes.Repeat([]byte{0xff}, 400)), iface(order, 0), iface(order, 8),
			newBlock(order, 5, make([]byte, 12)), enhanced(order, frame), newBlock(order, 0x0bad, nil),
			section(order), iface(order, 0), enhanced(order, frame), newBlock(order, 10, make([]byte, 1000)),
		}, nil)
		c, err := Read(bytes.NewReader(whole))
		if err != nil || len(c.Frames) != 2 || !bytes.Equal(c.Frames[1].Data, frame) || c.Skipped != nil {
			t.Errorf("%v: %v, %v", order, c, err)
		}
		for end := 1; end < len(whole); end++ { // in single bytes, as from a pipe
			if _, err := Read(iotestOneByte{bytes.NewReader(whole[:end])}); err == nil && end < 600 {
				t.Errorf("%v: %d bytes were read without an error", order, end)
			}
		}
	}
}

type iotestOneByte struct{ r io.Reader }

func (o iotestOneByte) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	return o.r.Read(p[:1])
}

func TestReadRefusesLargeSections(t *testing.T) {
	order := binary.LittleEndian
	for name, c := range map[string]struct {
		file []byte
		want error
		text string
	}{
		"interfaces": {
			append(section(order), bytes.Repeat(iface(order, 0), maxInterfaces+1)...), ErrTooLarge,
			"block at byte 81948: interface 4097 of its section, at most 4096 are read",
		},
		"no length":            {append(section(order), 1, 0, 0, 0, 0, 0, 0, 0), ErrDamage, "block at byte 28: it has 0 bytes"},
		"a length of a header": {append(section(order), 1, 0, 0, 0, 8, 0, 0, 0), ErrDamage, "block at byte 28: it has 8 bytes"},
		"gzip":                 {[]byte{0x1f, 0x8b, 8, 0, 0, 0}, ErrFormat, "unpack it first"},
	} {
		if _, err := Read(bytes.NewReader(c.file)); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v, want %v: %s", name, err, c.want, c.text)
		}
	}
	many := bytes.Repeat(append(section(order), bytes.Repeat(iface(order, 0), maxInterfaces)...), 3)
	if _, err := Read(bytes.NewReader(many)); !errors.Is(err, ErrEmpty) {
		t.Errorf("three sections: %v", err)
	}
}

// endless repeats a block as often as is read, up to a size.
type endless struct {
	head, block []byte
	left, at    int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	if len(e.head) > 0 {
		n := copy(p, e.head)
		e.head = e.head[n:]
		return n, nil
	}
	n := copy(p, e.block[e.at:])
	e.at = (e.at + n) % len(e.block)
	e.left -= n
	return n, nil
}

// TestMemoryOfLargeFiles reads files of 60 MB that hold no packet, and says what was allocated in total.
func TestMemoryOfLargeFiles(t *testing.T) {
	order := binary.LittleEndian
	names := bytes.Repeat([]byte{1, 0, 8, 0, 192, 0, 2, 1, 'h', 'o', 's', 0}, 1000)
	secrets := append([]byte{'K', 'S', 'L', 'T', 0, 4, 0, 0}, make([]byte, 1024)...)
	huge := enhanced(order, make([]byte, 4096))
	order.PutUint32(huge[4:], 0xfffffff0)
	large := enhanced(order, make([]byte, 4096))
	order.PutUint32(large[4:], 16<<20)
	for name, one := range map[string][]byte{
		"interfaces": iface(order, 0), "names of hosts": newBlock(order, 4, names), "keys": newBlock(order, 10, secrets), "statistics": newBlock(order, 5, make([]byte, 12)),
		"comments": iface(order, 4096), "a packet of 4 GB": huge, "packets of 16 MB": large,
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Read(&endless{head: append(section(order), iface(order, 0)...), block: one, left: 60 << 20})
		runtime.ReadMemStats(&after)
		allocated := (after.TotalAlloc - before.TotalAlloc) >> 20
		t.Logf("%s: %d MiB allocated, %v", name, allocated, err)
		const most = 32 // MiB
		if err == nil || allocated > most {
			t.Errorf("%s: %d MiB allocated, at most %d: %v", name, allocated, most, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	order := binary.LittleEndian
	f.Add(bytes.Join([][]byte{section(order), iface(order, 4), enhanced(order, asEthernet(packet(1, 2, 2)))}, nil))
	f.Add(bytes.Join([][]byte{section(binary.BigEndian), iface(binary.BigEndian, 0), newBlock(binary.BigEndian, 4, make([]byte, 4))}, nil))
	f.Fuzz(func(t *testing.T, file []byte) {
		c, err := Read(bytes.NewReader(file))
		if err == nil && len(c.Frames) == 0 {
			t.Error("neither frames nor an error")
		}
		before := 0
		for i, frame := range c.Frames {
			if before, frame.Number = frame.Number, frame.Number-before; frame.Number < 1 || len(frame.Data) > frame.Length || len(frame.Data) > len(file)+ethernetHeader {
				t.Errorf("frame %d: %+v of %d bytes", i, frame, len(file))
			}
		}
	})
}
