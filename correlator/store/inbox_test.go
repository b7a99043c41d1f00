package store

import (
	"fmt"
	"testing"
)

// of returns a message of some bytes.
func of(gateway string, bytes int) Heard { return Heard{gateway, make([]byte, bytes)} }

// TestInboxIsBounded: by number and by bytes of a gateway, and by number of all. Who is left out is noted, also where all are.
func TestInboxIsBounded(t *testing.T) {
	b := newInbox()
	taken := func(h Heard, want bool) {
		t.Helper()
		if is, _ := b.put(h); is != want {
			t.Errorf("%s, %d bytes: taken is %v", h.Gateway, len(h.Payload), is)
		}
	}
	taken(of("large", maxHeardBytesOf-1), true)
	taken(of("large", 2), false)
	taken(of("large", 1), true)
	equal(t, "left out", b.takeMissed(), "[large]")
	b.removeFirst()
	taken(of("large", maxHeardBytesOf-1), true)
	for i := 0; len(b.order) < maxHeard; i++ {
		taken(of(fmt.Sprint("gw-", i/maxHeardOf), 1), true)
	}
	taken(of("quiet", 1), false)
	equal(t, "left out", b.takeMissed(), "[quiet]")
	for len(b.order) > 0 {
		b.removeFirst()
	}
	if len(b.of) != 0 {
		t.Errorf("something of %v waits", b.of)
	}
}

// TestInboxNotesSoMany: one gateway more is said not to be noted.
func TestInboxNotesSoMany(t *testing.T) {
	b := newInbox()
	for i := range MaxGateways + 2 {
		if isTaken, isNoted := b.put(of(fmt.Sprint(i), maxHeardBytesOf+1)); isTaken || isNoted != (i < MaxGateways) {
			t.Fatalf("%d: taken %v, noted %v", i, isTaken, isNoted)
		}
	}
	if _, isNoted := b.put(of("0", maxHeardBytesOf+1)); !isNoted {
		t.Error("one that is noted is not")
	}
	if n := len(b.takeMissed()); n != MaxGateways {
		t.Errorf("%d are named", n)
	}
}
