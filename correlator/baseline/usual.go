package baseline

import "math"

// usual makes what is usual out of closed windows, of equal or of different keys' gateways: it only merges.
func (c *closer) usual(windows []*window) *Usual {
	u := new(Usual)
	weight := 0.0
	for _, w := range windows {
		weight += w.Weight
	}
	u.Calls = uint64(math.Round(weight))
	u.Ready = u.Calls >= uint64(c.o.MinCalls) //nolint:gosec // above 0
	for q := range Quantities {
		u.Quantities[q] = c.merged(windows, float64(c.o.MinCalls)*0.99, func(w *window) packed { return w.Sketches[q] })
	}
	u.Rate = c.merged(windows, 0, func(w *window) packed { return w.Rate })
	return u
}

// merged returns the quantiles of one of the windows' sketches; the zero Range if they have less than a weight.
func (c *closer) merged(windows []*window, atLeast float64, of func(*window) packed) Range {
	c.sketch.Clear()
	for _, w := range windows {
		if err := c.sketch.merge(of(w)); err != nil {
			panic(err) // packed here, or checked when it was read
		}
	}
	return c.sketch.quantiles(atLeast)
}
