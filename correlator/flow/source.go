package flow

import (
	"math"
	"math/bits"
)

// PortBits is the size of Source.Ports, in bits.
const PortBits = 1024

// Source is what one remote address did: struct source in bpf/record.h. Times are CLOCK_MONOTONIC nanoseconds, counts are
// mod 2^32.
type Source struct {
	First      uint64
	Last       uint64
	SYNs       uint32
	Handshakes uint32
	RSTs       uint32
	Flows      uint32
	Malformed  uint32 // packets that are cut, too deep, or contradict themselves
	Pad        uint32 // always 0
	Ports      [PortBits / 32]uint32
}

// DistinctPorts estimates how many local ports the address's SYNs tried, by linear counting (Whang and others, 1990):
// with a standard error of 2 % at 1,000 and 4 % at 3,000. From about 7,000 on all bits are set, and it says 7,098.
func (s *Source) DistinctPorts() int {
	set := 0
	for _, word := range s.Ports {
		set += bits.OnesCount32(word)
	}
	free := max(PortBits-set, 1)
	return int(math.Round(-PortBits * math.Log(float64(free)/PortBits)))
}
