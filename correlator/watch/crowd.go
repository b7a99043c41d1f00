package watch

import (
	"math"
	"math/bits"
)

// crowdSize is how many counts a crowd has; a power of two.
const crowdSize = 1 << 16

// crowd counts addresses by a hash, in a turn, so that the many that do nothing of interest cost no window each. Addresses
// whose hashes are the same count together: each may seem to be there more often than it is, and none less often.
type crowd struct {
	seed   uint64
	counts []uint16
}

func newCrowd(seed uint64) crowd { return crowd{seed, make([]uint16, crowdSize)} }

func (c *crowd) at(address *[16]byte) *uint16 {
	return &c.counts[hashAddress(address, c.seed)&(crowdSize-1)]
}

// add counts an address once more, and returns how often it was, at most 65,535.
func (c *crowd) add(address *[16]byte) uint16 {
	n := c.at(address)
	if *n < math.MaxUint16 {
		*n++
	}
	return *n
}

func (c *crowd) clear() { clear(c.counts) }

func hashAddress(address *[16]byte, seed uint64) uint64 {
	var high, low uint64
	for i := range 8 {
		high, low = high<<8|uint64(address[i]), low<<8|uint64(address[8+i])
	}
	return scatter(scatter(high^seed) ^ low)
}

// scatter is one step of wyhash: all bits of its input reach all of its output.
func scatter(n uint64) uint64 {
	high, low := bits.Mul64(n^0xa0761d6478bd642f, 0xe7037ed1a0b428db)
	return high ^ low
}
