package baseline

import (
	"maps"
	"slices"
	"time"
)

// How long a key has to be silent before it makes room for another: a route that is gone, or, if it never had a verdict, one
// that somebody tried once (a client chooses the method).
const (
	idleReady = 7 * 24 * time.Hour
	idleFresh = time.Hour
)

// publish lets calls find the keys that came since the last rotation, and takes away those that make room.
func (b *Baselines) publish(now uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	evicted := 0
	if b.wanted {
		b.wanted = false
		before := len(b.entries)
		b.entries = slices.DeleteFunc(slices.Clone(b.entries), func(e *entry) bool { return e.isIdle(now) })
		evicted = before - len(b.entries)
		b.counters.evicted.Add(uint64(evicted)) //nolint:gosec // not below 0
	}
	if len(b.fresh) == 0 && evicted == 0 {
		return
	}
	b.entries = slices.AppendSeq(b.entries, maps.Values(b.fresh))
	clear(b.fresh)
	m := &keyMap{keys: make(map[Key]*entry, len(b.entries))}
	for _, e := range b.entries {
		m.keys[e.key] = e
	}
	m.full = len(m.keys) >= b.o.Keys
	b.published.Store(m)
	b.changed = b.changed || evicted > 0
}

func (e *entry) isIdle(now uint64) bool {
	idle := uint64(idleFresh)
	if e.usual.Load().Ready {
		idle = uint64(idleReady)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.last = min(e.last, now) // a file may say that it was called in the future
	return now-e.last > idle
}
