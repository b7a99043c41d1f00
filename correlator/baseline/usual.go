package baseline

import (
	"math"

	"fivetuple/correlator/sketch"
)

// usual makes what is usual out of this gateway's closed windows, and of the fleet's: it only merges.
func (c *closer) usual(own []*window, fleet []*fleetWindow) *Usual {
	together := c.weighFleet(own, fleet)
	u := &Usual{Calls: uint64(math.Round(together.weight))}
	u.Ready = c.isEnough(together.weight)
	for q := range Quantities {
		c.merge(q, own, fleet, &together)
		u.Quantities[q] = quantiles(c.sketch, float64(c.o.MinCalls)*0.99)
	}
	if c.isEnough(weightOf(own)) || len(fleet) == 0 {
		fleet = nil
	} else {
		own = nil
	}
	c.merge(Quantities, own, fleet, &together)
	u.Rate = quantiles(c.sketch, 0)
	return u
}

// isEnough says whether a weight is enough for a verdict.
func (c *closer) isEnough(weight float64) bool { return math.Round(weight) >= float64(c.o.MinCalls) }

// merge puts the windows' sketches of a quantity into the closer's.
func (c *closer) merge(q Quantity, own []*window, fleet []*fleetWindow, together *fleetWeights) {
	if len(fleet) > 0 {
		c.pool.clear()
		mine := c.pool.part(whole, enoughVoices)
		for _, w := range own {
			mine.add(*w.at(q), 1)
		}
		together.addTo(&c.pool, q, fleet)
		c.pool.pour(c.sketch, q, together.isStrict)
		return
	}
	c.sketch.Clear()
	for _, w := range own {
		if err := c.sketch.Merge(*w.at(q)); err != nil {
			panic(err) // packed here, or checked when it was read
		}
	}
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
