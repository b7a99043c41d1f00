package baseline

import (
	"cmp"
	"errors"
	"slices"
	"unique"
)

// Peer is what another gateway has published. Whose it is says the key that it was read from.
type Peer struct {
	Gateway string
	Value   []byte
}

// MaxPeers is how many gateways are merged of a period. The caller chooses which; the rest is not looked at.
const MaxPeers = 64

// Skipped is how many values were not merged.
type Skipped struct {
	Version int // written in a version that this program does not know
	Damaged int // not what Published returns
	Window  int // of windows of another length: settings differ
	Thin    int // lighter than the least that closes a window here
}

// Merge takes what the other gateways say of a key and a period, whether it was asked for once or again; that nobody says
// anything is an answer, too. A period before the last Options.Windows, or before a shift, it leaves.
func (b *Baselines) Merge(now uint64, k Key, period int64, peers []Peer) Skipped {
	others, skipped := b.read(peers)
	k, ok := canonical(k)
	b.rotating.Lock()
	defer b.rotating.Unlock()
	e := b.published.Load().keys[k]
	latest := b.o.period(b.wall(now))
	if e != nil {
		e.rewind(latest)
	}
	if !ok || e == nil || !b.isShared() || period <= max(e.replaced, latest-int64(b.o.Windows)) || period > latest {
		return skipped
	}
	if period <= b.due(e, now) {
		e.answered = max(e.answered, period)
	}
	var own []*window
	for _, w := range e.closed {
		if b.o.period(w.To) == period {
			own = append(own, w)
		}
	}
	b.close.meet(e, own, others)
	if w := b.close.together(period, own, others); w != nil {
		b.counters.merged.Add(uint64(len(others)))
		e.keep(w, b.o.Windows)
		b.renew(e, now)
	}
	return skipped
}

// read decodes values. It is where most of the time goes, and holds no lock.
func (b *Baselines) read(peers []Peer) (others []*heard, skipped Skipped) {
	for i, p := range peers[:min(len(peers), MaxPeers)] {
		if slices.ContainsFunc(peers[:i], func(before Peer) bool { return before.Gateway == p.Gateway }) {
			continue
		}
		h, err := decode(p.Value, b.o.Window)
		switch {
		case errors.Is(err, errVersion):
			skipped.Version++
		case errors.Is(err, errWindow):
			skipped.Window++
		case err != nil:
			skipped.Damaged++
		case h.Weight < b.o.minWeight():
			skipped.Thin++
		default:
			h.gateway = unique.Make(p.Gateway)
			others = append(others, h)
		}
	}
	return others, skipped
}

// keep takes a window of the fleet, in the place of what was known of its period. There are at most n of them, the latest.
func (l *learner) keep(w *fleetWindow, n int) {
	i, found := slices.BinarySearchFunc(l.fleet, w.period, func(w *fleetWindow, period int64) int {
		return cmp.Compare(w.period, period)
	})
	if found {
		l.fleet[i] = w
		return
	}
	l.fleet = slices.Insert(l.fleet, i, w)
	l.fleet = slices.Delete(l.fleet, 0, max(len(l.fleet)-n, 0))
}

// rewind forgets what lies in the future: the wall clock was set back.
func (l *learner) rewind(latest int64) {
	latest++ // a clock that is set by a little is between two periods
	l.answered, l.replaced, l.offered = min(l.answered, latest), min(l.replaced, latest), min(l.offered, latest)
	l.fleet = slices.DeleteFunc(l.fleet, func(w *fleetWindow) bool { return w.period > latest })
}
