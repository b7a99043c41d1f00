package correlator

import (
	"encoding/binary"
	"hash/maphash"
	"testing"
)

// TestTTLMemory: a source is remembered until another takes its place, and never taken for that one.
func TestTTLMemory(t *testing.T) {
	m := &ttlMemory{seed: maphash.MakeSeed()}
	address := func(i int) (a [16]byte) {
		binary.BigEndian.PutUint32(a[12:], uint32(i))
		return a
	}
	ttl := func(i int) uint8 { return uint8(i%255) + 1 }
	const sources = 4 * ttlPlaces
	for i := range sources {
		a := address(i)
		if got := m.swap(&a, ttl(i)); got != 0 {
			t.Fatalf("source %d is new, and has the TTL %d", i, got)
		}
	}
	remembered := 0
	for i := range sources {
		a := address(i)
		switch got := m.swap(&a, ttl(i)); got {
		case ttl(i):
			remembered++
		case 0:
		default:
			t.Fatalf("source %d has another's TTL %d", i, got)
		}
	}
	if remembered == 0 || remembered > ttlPlaces {
		t.Errorf("%d of %d sources are remembered, with room for %d", remembered, sources, ttlPlaces)
	}
}
