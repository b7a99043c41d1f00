package baseline

import (
	"maps"
	"slices"
	"time"
)

// Published is a window of this gateway's own calls, to be told to the others.
type Published struct {
	Key Key
	// Period is the number of the window on the wall clock, which is the same on all gateways: windows that ended nearest to
	// Period times Options.Window since 1970.
	Period int64
	Value  []byte // at most MaxPublished bytes
}

// maxPublished is how long a published window is kept at most.
const maxPublished = 24 * time.Hour

// Kept is how long a published window is of use to others: while it is one of their last.
func (o Options) Kept() time.Duration {
	return min(time.Duration(o.Windows+1)*o.Window, maxPublished)
}

// Share lets the baselines learn together with other gateways: none of them gives more than a share of a baseline's weight,
// 0 to 1, as far as there are enough of them (gateways.go). It is called before the first call.
func (b *Baselines) Share(share float64) {
	b.rotating.Lock()
	defer b.rotating.Unlock()
	b.close.share = share
}

func (b *Baselines) isShared() bool { return b.close.share > 0 }

// period returns the number of the window that ends nearest to a moment on the wall clock.
func (o *Options) period(wall int64) int64 { return (wall + int64(o.Window)/2) / int64(o.Window) }

// outgoing is a window that was not published yet.
type outgoing struct {
	entry  *entry
	window *window
}

// offer takes an own window that others should know of. Of a period, the heaviest is the last: a lighter one does not replace it.
// At most Options.Windows for each of Options.Keys wait; the oldest go, which is counted.
func (b *Baselines) offer(e *entry, w *window) {
	p := b.o.period(w.To)
	e.rewind(p)
	if !b.isShared() || e == b.shared || p < e.offered || p == e.offered && w.Weight <= e.offeredWeight {
		return
	}
	e.offered, e.offeredWeight = p, w.Weight
	b.outbox = append(b.outbox, outgoing{e, w})
	if excess := len(b.outbox) - b.o.Windows*b.o.Keys; excess > 0 {
		b.outbox = append(b.outbox[:0], b.outbox[excess:]...)
		b.counters.unpublished.Add(uint64(excess)) //nolint:gosec // above 0
	}
}

// Published returns windows that were closed since the last time, the oldest first, at most so many; the rest stays.
func (b *Baselines) Published(most int) []Published {
	b.rotating.Lock()
	n := min(most, len(b.outbox))
	out := b.outbox[:n:n]
	b.outbox = b.outbox[n:]
	b.rotating.Unlock()
	var published []Published
	for _, o := range out {
		published = append(published, Published{Key: o.entry.key, Period: b.o.period(o.window.To), Value: encode(o.window, b.o.Window)})
	}
	b.counters.published.Add(uint64(len(published)))
	return published
}

// Republish has Published return, in time, every window again that others still have use for: what they were written to has
// lost them, or they are those of the file. Of a period it is the heaviest.
func (b *Baselines) Republish(now uint64) {
	b.rotating.Lock()
	defer b.rotating.Unlock()
	if !b.isShared() {
		return
	}
	b.outbox = nil
	oldest := b.wall(now) - int64(b.o.Kept())
	for _, e := range b.entries {
		heaviest := map[int64]*window{}
		for _, w := range e.closed {
			p := b.o.period(w.To)
			if before := heaviest[p]; w.To > oldest && (before == nil || w.Weight > before.Weight) {
				heaviest[p] = w
			}
		}
		for _, p := range slices.Sorted(maps.Keys(heaviest)) {
			b.outbox = append(b.outbox, outgoing{e, heaviest[p]})
		}
	}
}
