package watch

import (
	"hash/maphash"
	"math"
)

// crowdSize is how many counts a crowd has; a power of two.
const crowdSize = 1 << 16

// crowd counts addresses by a hash, in a turn, so that the many that do nothing of interest cost no window each. Addresses
// whose hashes are the same count together: each may seem to be there more often than it is, and none less often.
type crowd struct {
	seed   maphash.Seed
	counts []uint16
}

func newCrowd() crowd { return crowd{maphash.MakeSeed(), make([]uint16, crowdSize)} }

func (c *crowd) at(address *[16]byte) *uint16 {
	return &c.counts[maphash.Comparable(c.seed, *address)&(crowdSize-1)]
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
