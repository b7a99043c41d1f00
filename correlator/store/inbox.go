package store

import (
	"context"
	"maps"
	"slices"
	"sync"
)

const (
	// maxHeard is how many messages wait for whoever takes them.
	maxHeard = 1024
	// maxHeardOf and maxHeardBytesOf are what waits of one gateway at most; an honest one says no more than four messages a second.
	maxHeardOf      = 16
	maxHeardBytesOf = 1 << 20
)

// inbox is what was heard and waits to be taken, in the order in which it came. Of one gateway only so little waits that a flood of its
// messages neither takes the room of the others' nor keeps them waiting. It is remembered whose messages were left out.
type inbox struct {
	mu     sync.Mutex
	order  []Heard
	of     map[string]size
	missed map[string]struct{} // at most MaxGateways
	wake   chan struct{}       // one place: there is something new
}

// size is how much of a gateway waits.
type size struct{ messages, bytes int }

func newInbox() *inbox {
	return &inbox{of: map[string]size{}, missed: map[string]struct{}{}, wake: make(chan struct{}, 1)}
}

// put takes a message if there is room. Else it notes the gateway, unless it would be one too many.
func (b *inbox) put(h Heard) (isTaken, isNoted bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.of[h.Gateway]
	if len(b.order) >= maxHeard || n.messages >= maxHeardOf || n.bytes+len(h.Payload) > maxHeardBytesOf {
		if len(b.missed) < MaxGateways {
			b.missed[h.Gateway] = struct{}{}
		}
		_, isNoted = b.missed[h.Gateway]
		return false, isNoted
	}
	b.order = append(b.order, h)
	b.of[h.Gateway] = size{n.messages + 1, n.bytes + len(h.Payload)}
	signal(b.wake)
	return true, false
}

// first returns the oldest message, which stays until removeFirst.
func (b *inbox) first() (h Heard, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.order) == 0 {
		return Heard{}, false
	}
	return b.order[0], true
}

func (b *inbox) removeFirst() {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := b.order[0]
	b.order[0] = Heard{}
	b.order = b.order[1:]
	n := b.of[h.Gateway]
	if b.of[h.Gateway] = (size{n.messages - 1, n.bytes - len(h.Payload)}); n.messages == 1 {
		delete(b.of, h.Gateway)
	}
}

// takeMissed returns whose messages were left out since it was asked last.
func (b *inbox) takeMissed() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	missed := slices.Collect(maps.Keys(b.missed))
	clear(b.missed)
	return missed
}

// hand hands the messages on, one after the other, until the context is done.
func (b *inbox) hand(ctx context.Context, to chan<- Heard) {
	for {
		h, ok := b.first()
		if !ok {
			select {
			case <-ctx.Done():
				return
			case <-b.wake:
			}
			continue
		}
		select {
		case <-ctx.Done():
			return
		case to <- h:
			b.removeFirst()
		}
	}
}
