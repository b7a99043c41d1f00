package baseline

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"fivetuple/correlator/sketch"
)

// entry is a key's baseline: what is usual, the window that learns, and the windows that were closed.
type entry struct {
	key   Key
	usual atomic.Pointer[Usual]
	seed  func() uint64

	mu   sync.Mutex
	open open
	last uint64 // when it was called, CLOCK_MONOTONIC nanoseconds

	// Below: guarded by Baselines.rotating.
	closed []*window // the oldest first, at most Options.Windows
	aside  []*window // of windows in a row that speak for a change
	streak int       // how many they are
	steps  int       // in how many periods what is usual was learned anew since it was ready
	renewal
	learner
}

// renewal is when what is usual was learned anew: in each period once, or again from where it began.
type renewal struct {
	renewed int64  // period, Options.Window since 1970
	before  *Usual // what was usual when it began
	isOwn   bool   // whether this gateway's own calls are enough for a verdict
}

// learner is what a key has to do with other gateways.
type learner struct {
	fleet         []*fleetWindow // by period, at most Options.Windows
	replaced      int64          // the baseline was, in this period: what others say up to it is past
	answered      int64          // the last period that is known in full
	asked         uint64         // when, CLOCK_MONOTONIC nanoseconds
	offered       int64          // the last period of an own window that was published
	offeredWeight float64
	met           []acquaintance // at most MaxPeers
}

// open is a window that learns.
type open struct {
	begun            uint64 // CLOCK_MONOTONIC nanoseconds; 0: not yet
	seed             uint64 // by which sources land in slots
	random           *rand.Rand
	first            uint64 // hash of the first source
	sources          sources
	normal, abnormal sample
	rates            rates
}

func (b *Baselines) newEntry(k Key) *entry {
	e := &entry{key: k, seed: b.seed}
	e.usual.Store(new(Usual))
	return e
}

// begin begins a window, and returns the one before.
func (e *entry) begin(now uint64) open {
	before := e.open
	seed := e.seed()
	e.open = open{begun: now, seed: seed, random: rand.New(rand.NewPCG(seed, now)), rates: newRates(now)} //nolint:gosec // no secret depends on it
	return before
}

// learn takes a call. Its cost is bounded: a look-up among 64 sources, and a place among 512 calls.
func (e *entry) learn(now, source uint64, o *Observation) {
	var values [Quantities]float32
	for q, v := range &o.Values {
		if !(v >= 0) || Quantity(q) == RTT && v == 0 {
			v = math.NaN()
		}
		values[q] = float32(min(v, sketch.MaxValue)) // NaN stays
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	w := &e.open
	if w.begun == 0 {
		e.begin(now)
	}
	e.last = now
	hash := mix(source ^ w.seed)
	if len(w.sources.kept) == 0 {
		w.first = source
	}
	w.sources.add(hash, o.Abnormal)
	slot := uint8(bits.RotateLeft64(hash, 32) % slots) //nolint:gosec // below slots; other bits than sources go by
	w.rates.count(o.Abnormal)
	if o.Abnormal {
		w.abnormal.add(slot, &values, w.random)
	} else {
		w.normal.add(slot, &values, w.random)
	}
}

// sole returns the hash of the only source, or 0 if there are more.
func (w *open) sole() uint64 {
	if w.sources.number() == 1 {
		return w.first
	}
	return 0
}

// mix spreads a hash anew (the finalizer of SplitMix64): no two become the same.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
