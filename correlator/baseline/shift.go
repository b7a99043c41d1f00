package baseline

// Shift is a baseline that was replaced, because most calls, of most sources, had not been normal by it for several windows.
type Shift struct {
	Key           Key  // zero, if Shared
	Shared        bool // the one baseline of the keys beyond the bound
	Windows       int  // for how many windows
	Sources       int  // how many there were in the last of them, about
	Before, After *Usual
}

// shift replaces a baseline by what differed from it. What other gateways have said until now is gone with it.
func (b *Baselines) shift(e *entry, now uint64, sources int) Shift {
	b.counters.shifts.Add(1)
	s := Shift{Key: e.key, Shared: e == b.shared, Windows: e.streak, Sources: sources, Before: e.usual.Load()}
	e.closed, e.aside, e.streak, e.steps = last(e.aside, b.o.Windows), nil, 0, 0
	s.After = b.close.usual(e.closed, nil)
	e.fleet, e.replaced, e.renewal = nil, b.o.period(b.wall(now)), renewal{isOwn: s.After.Ready}
	e.usual.Store(s.After)
	for _, w := range e.closed {
		b.offer(e, w)
	}
	return s
}

// verdict is what a window says about a baseline.
type verdict uint8

const (
	silent verdict = iota // too few sources to say anything
	fits
	differs
)

// judge says whether a window's calls differ from the baseline. One source, or a few, cannot make a window differ: more
// than ShiftShare of the weight, where no source has more than its share, and of the sources have to be abnormal, and at
// least half as many sources as usual have to call. Only if a single source has fed the baseline alone all along (a load
// balancer), that one can.
func (e *entry) judge(o *Options, w *open, joint *weights) verdict {
	abnormal := 0.0
	for s, weight := range joint.of {
		if all := w.normal.counts[s] + w.abnormal.counts[s]; all > 0 {
			abnormal += weight * float64(w.abnormal.counts[s]) / float64(all)
		}
	}
	if abnormal <= o.ShiftShare*joint.total || w.sources.abnormalShare() <= o.ShiftShare {
		return fits
	}
	if !e.usual.Load().Ready || !e.areUsual(w) {
		return silent
	}
	return differs
}

// areUsual says whether a window has enough sources to speak for those of the closed windows.
func (e *entry) areUsual(w *open) bool {
	n, most, sole := w.sources.number(), 0, w.sole()
	for _, c := range e.closed {
		most = max(most, c.Sources)
		if n == 1 && c.Sole != sole {
			return false
		}
	}
	return 2*n > most
}

// follow keeps a window that differs aside, and returns true once there are enough in a row. One that is silent neither adds
// to the row nor ends it.
func (e *entry) follow(o *Options, v verdict, differing ...*window) bool {
	switch v {
	case fits:
		e.aside, e.streak = nil, 0
	case differs:
		e.streak++
		e.aside = append(e.aside, differing...)
	case silent:
	}
	return e.streak >= o.ShiftWindows
}
