package lab

import (
	"encoding/binary"
	"errors"
	"testing"
)

func TestDecode(t *testing.T) {
	hopByHop := []byte{protoTCP, 0, 1, 4, 0, 0, 0, 0}
	chain := []byte{ // destination options of 16 bytes, AH of 24, atomic fragment
		protoAH, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		protoFragment, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		protoTCP, 0, 0, 0, 0, 0, 0, 1,
	}
	for _, c := range []struct {
		name              string
		frame             frame
		segments, ipBytes int
	}{
		{"plain", frame{payload: 100}, 1, 140},
		{"pure ACK with padding", frame{padding: 6}, 1, 40},
		{"payload with padding", frame{payload: 1, padding: 5}, 1, 41},
		{"TCP options", frame{payload: 100, tcpOptions: 12}, 1, 152},
		{"IPv4 options", frame{payload: 100, ipOptions: 40}, 1, 180},
		{"VLAN", frame{payload: 100, tags: []uint16{etherVLAN}}, 1, 140},
		{"QinQ", frame{payload: 100, tags: []uint16{etherQinQ, etherVLAN}}, 1, 140},
		{"three tags", frame{payload: 100, tags: []uint16{etherQinQOld, etherQinQ, etherVLAN}}, 1, 140},
		{"IPv6", frame{payload: 100, v6: true}, 1, 160},
		{"IPv6 hop-by-hop", frame{payload: 100, v6: true, extensions: hopByHop, first: protoHopByHop}, 1, 168},
		{"IPv6 chain", frame{payload: 100, v6: true, extensions: chain, first: protoDestOpts}, 1, 208},
		{"merged", frame{payload: 3000, gso: 1448, tcpOptions: 12}, 3, 3000 + 3*52},
		{"merged, the last one full", frame{payload: 2896, gso: 1448, tcpOptions: 12}, 2, 2896 + 2*52},
		{"merged, one segment", frame{payload: 1448, gso: 1448}, 1, 1448 + 40},
		{"merged IPv6 with extension", frame{payload: 2000, gso: 1000, v6: true, extensions: hopByHop}, 2, 2000 + 2*68},
		{"merged without payload", frame{gso: 1000}, 1, 40},
		{"all flags", frame{flags: 0x1ff, payload: 1}, 1, 41},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := Decode(c.frame.packet())
			if err != nil {
				t.Fatal(err)
			}
			if s.Segments != c.segments || s.IPBytes != c.ipBytes || s.PayloadLen != c.frame.payload {
				t.Errorf("%d segments of %d IP bytes, %d payload; want %d, %d, %d",
					s.Segments, s.IPBytes, s.PayloadLen, c.segments, c.ipBytes, c.frame.payload)
			}
			if f := c.frame.flags; f != 0 && s.Flags != f {
				t.Errorf("flags %#x, want %#x", s.Flags, f)
			}
			if key := testKey(c.frame.v6); s.Src != key.Local || s.Dst != key.Remote {
				t.Errorf("from %v to %v, want %v", s.Src, s.Dst, key)
			}
			checkWire(t, s)
		})
	}
}

// checkWire holds the cut segments against the merged one.
func checkWire(t *testing.T, s Segment) {
	t.Helper()
	wire := s.Wire()
	if len(wire) != s.Segments {
		t.Fatalf("cut into %d, want %d", len(wire), s.Segments)
	}
	bytes, payload, seq := 0, 0, s.Seq
	for _, w := range wire {
		if w.Seq != seq || w.IPBytes != w.HeaderLen+w.PayloadLen || w.Segments != 1 || w.Time != s.Time {
			t.Errorf("segment %+v at %d of %+v", w, seq, s)
		}
		bytes, payload, seq = bytes+w.IPBytes, payload+w.PayloadLen, seq+uint32(w.PayloadLen)
	}
	if bytes != s.IPBytes || payload != s.PayloadLen {
		t.Errorf("segments sum up to %d IP bytes and %d payload, want %d and %d", bytes, payload, s.IPBytes, s.PayloadLen)
	}
}

// TestDecodeLengthWord has the lengths by which a frame and its IP header may differ.
func TestDecodeLengthWord(t *testing.T) {
	p := frame{payload: 70000 - 65536}.packet()
	p.Length = etherHeaderLen + 40 + 70000
	binary.BigEndian.PutUint16(p.Data[etherHeaderLen+2:], 0)
	p.Data = p.Data[:keptBytesInTests]
	if s, err := Decode(p); err != nil || s.PayloadLen != 70000 {
		t.Errorf("IPv4 length 0: %d bytes, %v; want the frame's 70000", s.PayloadLen, err)
	}
	p = frame{v6: true, payload: 4464}.packet()
	p.Length = etherHeaderLen + 60 + 70000
	binary.BigEndian.PutUint16(p.Data[etherHeaderLen+4:], 0)
	if s, err := Decode(p); err != nil || s.PayloadLen != 70000 {
		t.Errorf("IPv6 length 0: %d bytes, %v; want the frame's 70000", s.PayloadLen, err)
	}
	p = frame{payload: 1000}.packet()
	p.Data = p.Data[:keptBytesInTests]
	if s, err := Decode(p); err != nil || s.PayloadLen != 1000 {
		t.Errorf("cut frame: %d bytes, %v; want the header's 1000", s.PayloadLen, err)
	}
}

const keptBytesInTests = 128

func TestDecodeRefuses(t *testing.T) {
	change := func(f frame, at int, value byte) Packet {
		p := f.packet()
		p.Data[at] = value
		return p
	}
	cut := func(f frame, length int) Packet {
		p := f.packet()
		p.Data = p.Data[:length]
		return p
	}
	const ip = etherHeaderLen
	laterFragment := []byte{protoTCP, 0, 0, 8, 0, 0, 0, 1}
	for _, c := range []struct {
		name   string
		packet Packet
		notTCP bool
	}{
		{"ARP", change(frame{}, 13, 0x06), true},
		{"UDP", change(frame{}, ip+9, 17), true},
		{"ICMPv6", change(frame{v6: true}, ip+6, 58), true},
		{"later IPv4 fragment", change(frame{}, ip+7, 1), true},
		{"later IPv6 fragment", frame{v6: true, extensions: laterFragment, first: protoFragment}.packet(), true},
		{"no Ethernet header", cut(frame{}, 13), false},
		{"cut tag", cut(frame{tags: []uint16{etherVLAN}}, 16), false},
		{"cut IPv4 header", cut(frame{}, ip+19), false},
		{"cut IPv6 header", cut(frame{v6: true}, ip+39), false},
		{"cut extension header", cut(frame{v6: true, extensions: laterFragment, first: protoDestOpts}, ip+44), false},
		{"cut TCP header", cut(frame{}, ip+39), false},
		{"IPv4 version", change(frame{}, ip, 0x65), false},
		{"IPv6 version", change(frame{v6: true}, ip, 0x40), false},
		{"short IHL", change(frame{}, ip, 0x44), false},
		{"short total length", change(frame{}, ip+3, 19), false},
		{"short data offset", change(frame{}, ip+32, 0x40), false},
		{"data offset outside", change(frame{}, ip+32, 0x60), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Decode(c.packet)
			if err == nil || errors.Is(err, ErrNotTCP) != c.notTCP {
				t.Errorf("error %v, want ErrNotTCP: %v", err, c.notTCP)
			}
			if flows := Flows([]Packet{c.packet}, nil); len(flows) != 0 {
				t.Errorf("it is in a flow: %v", flows)
			}
		})
	}
}

// FuzzDecode wants no panic, and a segment that is consistent.
func FuzzDecode(f *testing.F) {
	f.Add(frame{payload: 3000, gso: 1448}.packet().Data, 3054, 1448)
	f.Add(frame{v6: true, tags: []uint16{etherVLAN}}.packet().Data, 78, 0)
	f.Fuzz(func(t *testing.T, data []byte, length, gso int) {
		if length < len(data) || length > 1<<20 || gso < 0 || gso > 1<<16-1 {
			t.Skip()
		}
		s, err := Decode(Packet{Data: data, Length: length, GSOSize: gso})
		if err != nil {
			return
		}
		if s.IPBytes != s.PayloadLen+s.Segments*s.HeaderLen || s.PayloadLen < 0 || s.HeaderLen < 40 {
			t.Errorf("%+v", s)
		}
		checkWire(t, s)
	})
}
