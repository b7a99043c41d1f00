package report

import (
	"maps"
	"slices"
)

// ring holds the buckets of one length, the newest last, which is the only one that calls are added to.
type ring struct {
	step, keep int64
	buckets    []*bucket
	closing    []*cell // of closed buckets, which still have their sketches
}

type bucket struct {
	start int64
	cells map[string]*cell // by route
}

// at returns the open bucket of a moment, after those before it are closed and the oldest are gone; moved says that it is a
// new one. A clock that is set back by less than a bucket changes nothing; what a clock that was further ahead has counted
// goes, because its time is unknown.
func (g *ring) at(unix int64) (open *bucket, moved bool) {
	start := startOf(unix, g.step)
	if last := g.last(); last != nil && start <= last.start && start >= last.start-g.step {
		return last, false
	}
	kept := g.buckets[:0]
	for _, b := range g.buckets {
		if b.start > start-g.keep*g.step && b.start < start {
			kept = append(kept, b)
		}
	}
	clear(g.buckets[len(kept):])
	g.buckets = kept
	g.close(len(g.closing))
	if last := g.last(); last != nil {
		g.closing = slices.AppendSeq(g.closing, maps.Values(last.cells))
	}
	open = &bucket{start: start, cells: make(map[string]*cell)}
	g.buckets = append(g.buckets, open)
	return open, true
}

func (g *ring) last() *bucket {
	if len(g.buckets) == 0 {
		return nil
	}
	return g.buckets[len(g.buckets)-1]
}

// find returns the bucket that starts at a moment; nil: there is none.
func (g *ring) find(start int64) *bucket {
	for _, b := range g.buckets {
		if b.start == start {
			return b
		}
	}
	return nil
}

func (b *bucket) cell(route string) *cell {
	c := b.cells[route]
	if c == nil {
		c = new(cell)
		b.cells[route] = c
	}
	return c
}

// close packs so many cells of closed buckets. Not all at once: calls wait meanwhile.
func (g *ring) close(most int) {
	for range min(most, len(g.closing)) {
		last := len(g.closing) - 1
		g.closing[last].close()
		g.closing[last] = nil
		g.closing = g.closing[:last]
	}
}
