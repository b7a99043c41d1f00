package baseline

import (
	"cmp"
	"slices"
	"unique"
)

// A gateway's windows are its word. What bounds a wrong one is, as with sources (weights.go, tail.go):
//
//   - Where so many gateways, this one counted, have something to say that each can be held to its share (5, if it is 20 %),
//     none weighs more than the share of the whole. Else none weighs more than the one with the second most, or than the
//     least that makes a window or a verdict. One that is alone counts in full: so does a gateway that starts take the word
//     of the only other one, until its own calls are enough for a verdict (renew.go).
//   - What it has above the 99th percentile of all the others is cut to that; where there are few, to twice that (pool.go).
//   - Both hold in each period, and again for those windows that one gateway has filled alone (fleet.go).
//   - What is usual moves by Drift a day at most, whoever moves it, once in a window (drift.go, renew.go).
//
// What this gateway has learned itself is never cut.

// gatewayLimit returns what a gateway may weigh at most, by what all of them weigh. Those that weigh less than the least do
// not count as one of many: to hold all others to its share of little weight would be to silence them.
func gatewayLimit(weights []float64, share, least float64) (limit float64, isMany bool) {
	slices.SortFunc(weights, func(a, b float64) int { return cmp.Compare(b, a) })
	n := 0
	for n < len(weights) && weights[n] >= least {
		n++
	}
	switch {
	case float64(n)*share >= 1-1e-9:
		return shareLimit(weights[:n], share), true
	case len(weights) == 1:
		return weights[0], false
	}
	return max(weights[1], least), false
}

// fleetWindow is what the other gateways say of a period, in one window. It never changes.
type fleetWindow struct {
	window
	period int64
	from   []contribution
	isCut  bool // its gateways' tails were compared with enough others
}

// contribution is what a gateway weighs in a fleetWindow.
type contribution struct {
	gateway unique.Handle[string]
	weight  float64
}

// sole returns the only gateway that a window is of; false if there are more.
func (w *fleetWindow) sole() (unique.Handle[string], bool) {
	return w.from[0].gateway, len(w.from) == 1
}

// together makes one window of what the others say of a period, next to this gateway's own windows of it; nil if they say
// nothing.
func (c *closer) together(period int64, own []*window, others []*heard) *fleetWindow {
	if len(others) == 0 {
		return nil
	}
	var weights []float64
	if weight := weightOf(own); weight > 0 {
		weights = append(weights, weight)
	}
	for _, h := range others {
		weights = append(weights, h.Weight)
	}
	limit, isMany := gatewayLimit(weights, c.share, c.o.minWeight())
	scale := 1.0
	if isMany { // who has a light window to hold the others to it does not make the whole light next to windows of its own
		scale = max(weights[len(weights)/2]/limit, 1)
	}
	w := &fleetWindow{period: period, isCut: len(own) > 0 && len(others) > 1 || len(others) > enoughVoices}
	for _, h := range others {
		h.counts = min(h.Weight, limit) * scale
		w.Weight += h.counts
		w.from = append(w.from, contribution{h.gateway, h.counts})
	}
	for q := range Quantities + 1 {
		c.pool.clear()
		mine := c.pool.part(reference, enoughVoices)
		for _, o := range own {
			mine.add(*o.at(q), 1)
		}
		for _, h := range others {
			c.pool.part(cut, 1).add(h.packed(q), h.factor(q, c.o.Window.Seconds()))
		}
		c.pool.pour(c.sketch, q, isMany)
		*w.at(q) = c.sketch.Pack()
	}
	return w
}

// factor returns by what the weights of a sketch are multiplied: calls to what the gateway counts for, and seconds, of which
// all gateways have as many, to those of a window.
func (h *heard) factor(q Quantity, seconds float64) float64 {
	if q == Quantities {
		return seconds / max(h.totals[q], minHeard)
	}
	return h.counts / max(h.Weight, h.totals[q])
}

func weightOf(windows []*window) (weight float64) {
	for _, w := range windows {
		weight += w.Weight
	}
	return weight
}
