package baseline

import "fivetuple/correlator/sketch"

// window is what is left of a window that was closed: this gateway's own calls, and nobody else's. It never changes.
type window struct {
	From, To int64   // wall clock, nanoseconds since 1970
	Weight   float64 // of its calls
	Sources  int     // how many there were, about
	Sole     uint64  // hash of the source, if there was one only
	Sketches [Quantities]sketch.Packed
	Rate     sketch.Packed // calls per second
}

// at returns where the sketch of a quantity is, or, of the number of quantities, that of the rate.
func (w *window) at(q Quantity) *sketch.Packed {
	if q == Quantities {
		return &w.Rate
	}
	return &w.Sketches[q]
}

// closer closes windows. Its sketches are used again and again.
type closer struct {
	o      Options
	sketch sketch.Sketch
	scaled sketch.Sketch
	share  float64 // of a gateway; 0: there are no others
	pool   pool
}

func newCloser(o Options) closer {
	s := sketch.New()
	return closer{o: o, sketch: s, scaled: sketch.New(), pool: newPool(s)}
}

// window packs a sample as it was weighed.
func (c *closer) window(s *sample, w *weights) *window {
	closed := &window{Weight: w.total}
	for q := range Quantities {
		values := s.weighAll(q, w)
		if w.isMany {
			cutTails(values)
		}
		c.sketch.Clear()
		for _, v := range values {
			c.sketch.Add(v.value, v.weight)
		}
		closed.Sketches[q] = c.sketch.Pack()
	}
	return closed
}

// rate packs calls per second. Where many sources call, the busiest counts with no more calls than its share of all: the
// rest of it is taken out of every second alike.
func (c *closer) rate(perSecond sketch.Sketch, counts *[slots]uint64, w *weights) sketch.Packed {
	var total, most float64
	for _, n := range counts {
		total += float64(n)
		most = max(most, float64(n))
	}
	if !w.isMany || total == 0 {
		return perSecond.Pack()
	}
	factor := min(1, (total-most)/(1-c.o.SourceShare)/total)
	c.scaled.Clear()
	perSecond.ForEach(func(value, weight float64) bool {
		c.scaled.Add(value*factor, weight)
		return false
	})
	return c.scaled.Pack()
}
