package baseline

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"
)

// Baselines are the baselines of all keys. At most Options.Keys have one of their own; the calls of the rest share one,
// which is counted. A key that has not been called for a long time makes room (evict.go).
type Baselines struct {
	o    Options
	none *Usual // of a key that nothing is known of

	published atomic.Pointer[keyMap] // what calls look into; replaced, never changed
	shared    *entry
	counters  counters
	seed      func() uint64
	salt      uint64 // of the sources' hashes: who calls cannot choose which sample it lands in
	offset    atomic.Int64

	mu     sync.Mutex
	fresh  map[Key]*entry // created since the last rotation
	wanted bool           // a key found no room

	rotating sync.Mutex // guards the closed windows of all entries
	entries  []*entry
	close    closer
	cursor   int
	changed  bool       // since the last Save
	outbox   []outgoing // at most Options.Windows for each of Options.Keys
	asking   int        // whose turn it is in Wants
}

// keyMap is a map that never changes.
type keyMap struct {
	keys map[Key]*entry
	full bool
}

// New returns baselines that know nothing yet. The options have to be valid.
func New(o Options) *Baselines {
	return newSeeded(o, rand.Uint64)
}

func newSeeded(o Options, seed func() uint64) *Baselines {
	b := &Baselines{o: o, none: new(Usual), seed: seed, salt: seed(), fresh: map[Key]*entry{}, close: newCloser(o)}
	b.shared = b.newEntry(Key{})
	b.published.Store(&keyMap{})
	return b
}

// SetWall tells what the wall clock shows when CLOCK_MONOTONIC is 0, as time since 1970: windows begin at its multiples.
func (b *Baselines) SetWall(offset time.Duration) { b.offset.Store(int64(offset)) }

// wall returns a moment of CLOCK_MONOTONIC on the wall clock, in nanoseconds since 1970.
func (b *Baselines) wall(now uint64) int64 { return int64(now) + b.offset.Load() } //nolint:gosec // 292 years

// Usual returns what is normal for a key. It takes no lock, allocates nothing, and never returns nil: of a key that nothing
// is known of, it is not ready.
func (b *Baselines) Usual(k Key) *Usual {
	k, ok := canonical(k)
	m := b.published.Load()
	if e := m.keys[k]; e != nil {
		return e.usual.Load()
	}
	if m.full || !ok {
		return b.shared.usual.Load()
	}
	return b.none
}

// Learn takes a call that has ended.
func (b *Baselines) Learn(now uint64, k Key, o *Observation) {
	e := b.entry(now, k)
	if e == b.shared {
		b.counters.shared.Add(1)
	}
	if o.Abnormal {
		b.counters.abnormal.Add(1)
	} else {
		b.counters.learned.Add(1)
	}
	e.learn(now, b.source(o.Source), o)
}

// entry returns the entry that a key's calls go to; a new one if there is room.
func (b *Baselines) entry(now uint64, k Key) *entry {
	k, ok := canonical(k)
	if !ok {
		return b.shared
	}
	m := b.published.Load()
	if e := m.keys[k]; e != nil {
		return e
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.fresh[k]; e != nil {
		return e
	}
	m = b.published.Load()
	if e := m.keys[k]; e != nil { // published meanwhile
		return e
	}
	if len(m.keys)+len(b.fresh) >= b.o.Keys {
		b.wanted = true
		return b.shared
	}
	e := b.newEntry(k.clone())
	e.begin(now)
	e.last = now // it is not idle before its first call
	b.fresh[e.key] = e
	return e
}

// source returns a hash of a source: an IPv4 address, or the network of an IPv6 address, of which a client has 2^64.
func (b *Baselines) source(address [16]byte) uint64 {
	var bytes [24]byte
	copy(bytes[:], address[:])
	if [12]byte(address[:]) != [12]byte{10: 0xff, 11: 0xff} {
		clear(bytes[8:16])
	}
	for i := range 8 {
		bytes[16+i] = byte(b.salt >> (8 * i))
	}
	return xxhash.Sum64(bytes[:])
}
