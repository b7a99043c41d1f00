package bpf

import (
	"encoding/binary"
	"slices"
)

// spoil changes a packet in one way or several.
func (t *traffic) spoil(in *input) {
	ways := []func(*input){
		t.flip, t.flip, t.flip, t.truncate, t.setLength, t.setLength, t.setHeaderLength, t.setTCPHeaderLength,
		t.setByte, t.insertTag, t.remove, t.insert, t.pad, t.turn, t.merge,
	}
	for range 1 + t.random.IntN(2) {
		ways[t.random.IntN(len(ways))](in)
	}
	in.frame = in.frame[:min(len(in.frame), 3600)]
}

// place returns where something is to change: mostly in the headers.
func (t *traffic) place(in *input) int {
	n := len(in.frame)
	if !t.one(4) {
		n = min(n, 14+40+24)
	}
	return t.random.IntN(max(n, 1))
}

func (t *traffic) flip(in *input) {
	for range 1 + t.random.IntN(3) {
		if at := t.place(in); at < len(in.frame) {
			in.frame[at] ^= 1 << t.random.IntN(8)
		}
	}
}

func (t *traffic) setByte(in *input) {
	if at := t.place(in); at < len(in.frame) {
		in.frame[at] = []byte{0, 1, 0xff, byte(t.random.Uint32())}[t.random.IntN(4)]
	}
}

func (t *traffic) truncate(in *input) { in.frame = in.frame[:t.place(in)] }

// isIPv6 looks at a frame without tags.
func isIPv6(frame []byte) bool { return len(frame) > 54 && u16(frame[12:]) == etherIPv6 }

// setLength sets the IP header's.
func (t *traffic) setLength(in *input) {
	at := 16
	if isIPv6(in.frame) {
		at = 18
	}
	if len(in.frame) < at+2 {
		return
	}
	length := u16(in.frame[at:]) + t.random.IntN(60) - 40
	switch t.random.IntN(4) {
	case 0:
		length = 0
	case 1:
		length = int(t.random.Uint32())
	}
	binary.BigEndian.PutUint16(in.frame[at:], uint16(length))
}

func (t *traffic) setHeaderLength(in *input) {
	if len(in.frame) > 14 {
		in.frame[14] = in.frame[14]&0xf0 | byte(t.random.IntN(16))
	}
}

func (t *traffic) setTCPHeaderLength(in *input) {
	at := 14 + 20 + 12
	if isIPv6(in.frame) {
		at += 20
	}
	if len(in.frame) > at {
		in.frame[at] = in.frame[at]&0x0f | byte(t.random.IntN(16)<<4)
	}
}

func (t *traffic) insertTag(in *input) {
	if len(in.frame) >= 14 {
		in.frame = slices.Insert(in.frame, 12, 0x81, 0, byte(t.random.Uint32()), byte(t.random.Uint32()))
	}
}

func (t *traffic) remove(in *input) {
	from := t.place(in)
	to := min(len(in.frame), from+1+t.random.IntN(40))
	in.frame = slices.Delete(in.frame, min(from, to), to)
}

func (t *traffic) insert(in *input) {
	from := t.random.IntN(4000)
	in.frame = slices.Insert(in.frame, t.place(in), []byte(t.noise[from:from+t.random.IntN(30)])...)
}

func (t *traffic) pad(in *input) { in.frame = append(in.frame, make([]byte, t.random.IntN(100))...) }

func (t *traffic) turn(in *input) { in.dir = 1 - in.dir }

func (t *traffic) merge(in *input) { in.gso = t.random.Uint32N(1 << t.random.IntN(17)) }
