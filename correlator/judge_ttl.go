package correlator

import (
	"hash/maphash"
	"sync/atomic"
)

// ttlPlaces is how many source addresses' last TTLs are remembered: 512 KiB.
const ttlPlaces = 1 << 16

// ttlMemory remembers the TTL of each source's last connection. A source has one place, by its hash; another one of the same
// place takes it, and the first is forgotten. A place holds 56 bits of the hash and the TTL; 0 is empty.
type ttlMemory struct {
	seed   maphash.Seed
	places [ttlPlaces]atomic.Uint64
}

// swap remembers a source's TTL, and returns the one before; 0 if there is none.
func (m *ttlMemory) swap(source *[16]byte, ttl uint8) (before uint8) {
	hash := maphash.Comparable(m.seed, *source)
	old := m.places[hash%ttlPlaces].Swap(hash&^0xff | uint64(ttl))
	if old == 0 || old^hash > 0xff {
		return 0
	}
	return uint8(old)
}
