package bpf

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// report returns the options of a segment that tells what its sender has got of the other, perhaps twice; some make no
// sense.
func (c *randomTalk) report(s *planned) []byte {
	blocks := c.random.IntN(5)
	sack := []byte{5, byte(2 + 8*blocks)}
	start, end := s.ack, s.ack
	for range blocks {
		if !c.one(4) { // the next may begin or end where the last one did
			start += uint32(c.random.IntN(3000)) - 2000
		}
		if !c.one(4) {
			end = start + uint32([]int{1, 100, 1448, 4000, -3}[c.random.IntN(5)])
		}
		sack = binary.BigEndian.AppendUint32(sack, start)
		sack = binary.BigEndian.AppendUint32(sack, end)
	}
	before := [][]byte{nil, {1, 1}, {1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 1}, {2, 4, 5, 0xb4, 3, 3, 2}}[c.random.IntN(4)]
	options := slices.Concat(before, sack, bytes.Repeat([]byte{1}, 3+c.random.IntN(6)))
	if c.one(10) && len(options) > 4 {
		options[c.random.IntN(len(options))] = byte(c.random.Uint32())
	}
	return options[:min(len(options)&^3, 40)]
}
