package baseline

import (
	"math"

	"fivetuple/correlator/sketch"
)

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
		u.Quantities[q] = c.merged(windows, float64(c.o.MinCalls)*0.99, func(w *window) sketch.Packed { return w.Sketches[q] })
	}
	u.Rate = c.merged(windows, 0, func(w *window) sketch.Packed { return w.Rate })
	return u
}

// merged returns the quantiles of one of the windows' sketches; the zero Range if they have less than a weight.
func (c *closer) merged(windows []*window, atLeast float64, of func(*window) sketch.Packed) Range {
	c.sketch.Clear()
	for _, w := range windows {
		if err := c.sketch.Merge(of(w)); err != nil {
			panic(err) // packed here, or checked when it was read
		}
	}
	return quantiles(c.sketch, atLeast)
}

// quantiles returns the median and the 99th percentile; both 0 if there is less than a weight.
func quantiles(s sketch.Sketch, atLeast float64) (r Range) {
	if s.GetCount() < max(atLeast, 1) {
		return r
	}
	if v, ok := s.Quantiles(0.5, 0.99); ok {
		r = Range{P50: v[0], P99: max(v[1], 1)}
	}
	return r
}
