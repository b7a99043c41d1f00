package baseline

import (
	"slices"
	"unique"
)

// fleetWeights are what the fleet's windows count for in what is usual, next to this gateway's own. A window that several
// gateways have filled counts in full, because they were weighed against each other. Those that only one has filled are
// weighed and cut once more, together: of a route with few calls, most periods have no window but those of one who makes
// them up.
type fleetWeights struct {
	weight   float64                           // of all windows, this gateway's own included
	isStrict bool                              // tails are cut without slack: there are many, or there was slack before
	factor   map[unique.Handle[string]]float64 // of the windows that only this gateway has filled
}

func (c *closer) weighFleet(own []*window, fleet []*fleetWindow) (f fleetWeights) {
	f.weight = weightOf(own)
	if len(fleet) == 0 {
		return f
	}
	total, alone := map[unique.Handle[string]]float64{}, map[unique.Handle[string]]float64{}
	for _, w := range fleet {
		for _, from := range w.from {
			total[from.gateway] += from.weight
		}
		if gateway, ok := w.sole(); ok {
			alone[gateway] += w.Weight
		} else {
			f.weight += w.Weight
		}
	}
	var weights []float64
	if f.weight > 0 && len(own) > 0 {
		weights = append(weights, weightOf(own))
	}
	for _, weight := range total {
		weights = append(weights, weight)
	}
	var limit float64
	limit, f.isStrict = gatewayLimit(weights, c.share, float64(c.o.MinCalls))
	f.isStrict = f.isStrict || slices.ContainsFunc(fleet, func(w *fleetWindow) bool { return w.isCut })
	f.factor = make(map[unique.Handle[string]]float64, len(alone))
	for gateway, weight := range alone {
		rest := total[gateway] - weight // in windows of several
		f.factor[gateway] = min(max(limit-rest, 0)/weight, 1)
		f.weight += weight * f.factor[gateway]
	}
	return f
}

// addTo adds the fleet's windows to a pool: those that several have filled, those that two have filled who had nobody to
// compare with, and those of each gateway that was alone.
func (f *fleetWeights) addTo(p *pool, q Quantity, fleet []*fleetWindow) {
	several, two := p.part(whole, enoughVoices), p.part(cut, 1)
	alone := make(map[unique.Handle[string]]*part, len(f.factor))
	for _, w := range fleet {
		gateway, ok := w.sole()
		switch {
		case w.isCut:
			several.add(*w.at(q), 1)
		case !ok:
			two.add(*w.at(q), 1)
		default:
			if alone[gateway] == nil {
				alone[gateway] = p.part(cut, 1)
			}
			alone[gateway].add(*w.at(q), f.factor[gateway])
		}
	}
}
