package store

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	// minBackoff and maxBackoff are the shortest and the longest pause between tries.
	minBackoff = 100 * time.Millisecond
	maxBackoff = 5 * time.Second
)

// backoff is the pause after so many failed tries, from the first: doubled each time, and anywhere in its upper half, so that the gateways
// of a fleet don't all come at once.
func backoff(tries int) time.Duration {
	full := maxBackoff
	if tries < 7 { // 100 ms << 6 is more than the longest
		full = min(minBackoff<<max(tries-1, 0), maxBackoff)
	}
	return full/2 + rand.N(full/2)
}

// pause waits, and says whether the context still holds.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
