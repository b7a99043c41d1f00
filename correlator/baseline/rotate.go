package baseline

import (
	"slices"
	"time"

	"fivetuple/correlator/sketch"
)

// closeAtOnce is how many windows one rotation closes, at some 0.3 ms each: windows of all keys end at the same time. It is
// more where there are so many keys that it would not get round in a quarter of a window.
const closeAtOnce = 32

// Rotate is called once a second. It counts the second, closes the windows that are over, and makes what is usual anew for
// their keys. It returns the baselines that were replaced.
func (b *Baselines) Rotate(now uint64) []Shift {
	b.rotating.Lock()
	defer b.rotating.Unlock()
	b.publish(now)
	for _, e := range b.entries {
		e.tick(now)
	}
	b.shared.tick(now)
	return b.closeOver(now)
}

func (e *entry) tick(now uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.open.begun != 0 {
		e.open.rates.tick(now)
	}
}

// closeOver closes windows in turn, beginning where it stopped the last time.
func (b *Baselines) closeOver(now uint64) (shifts []Shift) {
	all := append(slices.Clip(b.entries), b.shared)
	room := max(closeAtOnce, len(all)*4/max(int(b.o.Window/time.Second), 1))
	for range all {
		if room == 0 {
			break
		}
		e := all[b.cursor%len(all)]
		b.cursor++
		if w, joint, ok := b.over(e, now, false); ok {
			room--
			shifts = b.closeWindow(e, now, &w, &joint, shifts)
		}
	}
	return shifts
}

// over takes a key's window that is over, and begins the next. A window ends where a multiple of Options.Window is on the wall
// clock, if it had at least half of that, and enough calls; else it goes on. Two end early: the first of many sources, once
// it has enough calls for a verdict, because there is none before; and, at the end of the process, each with enough calls.
func (b *Baselines) over(e *entry, now uint64, atEnd bool) (w open, joint weights, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	o := &e.open
	begun := o.begun
	first := !e.usual.Load().Ready
	period := int64(b.o.Window)
	ended := b.wall(now)/period != b.wall(begun)/period && now-begun >= uint64(b.o.Window)/2 //nolint:gosec // above 0
	if begun == 0 || now < begun || !ended && !first && !atEnd {
		return w, joint, false
	}
	counts, sum, from := o.counts()
	least := b.o.minWeight()
	if !ended && !atEnd {
		least = float64(b.o.MinCalls)
	}
	if float64(sum) < least || !ended && !atEnd && !b.o.isMany(from) { // cheap to say
		return w, joint, false
	}
	if joint = b.o.weigh(&counts); joint.total < least {
		return w, joint, false
	}
	return e.begin(now), joint, true
}

// counts returns how many calls came of each slot, and of how many.
func (w *open) counts() (counts [slots]uint64, sum uint64, from int) {
	for s := range counts {
		counts[s] = w.normal.counts[s] + w.abnormal.counts[s]
		sum += counts[s]
		if counts[s] > 0 {
			from++
		}
	}
	return counts, sum, from
}

// closeWindow turns a window into what is left of it, and learns from it, unless it speaks for a change.
func (b *Baselines) closeWindow(e *entry, now uint64, w *open, joint *weights, shifts []Shift) []Shift {
	b.changed = true
	b.counters.windows.Add(1)
	normal := b.o.weigh(&w.normal.counts)
	b.counters.capped.Add(excess(&w.normal.counts, &normal))
	learned := b.pack(w, now, &w.normal, &normal, w.rates.perSecond)
	v := e.judge(&b.o, w, joint)
	if v == differs {
		abnormal := b.o.weigh(&w.abnormal.counts)
		aside := []*window{b.pack(w, now, &w.abnormal, &abnormal, w.rates.allPer)}
		if learned.Weight > 0 {
			both := *learned
			both.Rate = aside[0].Rate
			aside = append(aside, &both)
		}
		if e.follow(&b.o, v, aside...) {
			return append(shifts, b.shift(e, now, w.sources.number()))
		}
	} else {
		e.follow(&b.o, v)
	}
	if learned.Weight < b.o.minWeight() { // the rest of a window that was mostly abnormal
		b.counters.thin.Add(1)
		return shifts
	}
	e.closed = last(append(e.closed, learned), b.o.Windows)
	b.offer(e, learned)
	b.renew(e, now)
	return shifts
}

// pack makes a closed window.
func (b *Baselines) pack(w *open, now uint64, s *sample, weights *weights, perSecond sketch.Sketch) *window {
	c := b.close.window(s, weights)
	c.From, c.To = b.wall(w.begun), b.wall(now)
	c.Sources, c.Sole = w.sources.number(), w.sole()
	c.Rate = b.close.rate(perSecond, &s.counts, weights)
	return c
}

// excess returns how many calls had no weight.
func excess(counts *[slots]uint64, w *weights) (n uint64) {
	for s, count := range counts {
		n += count - uint64(w.of[s])
	}
	return n
}

// last returns the last windows, in memory of their own.
func last(windows []*window, n int) []*window {
	return slices.Clone(windows[max(len(windows)-n, 0):])
}
