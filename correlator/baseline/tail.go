package baseline

import (
	"cmp"
	"math"
	"slices"
)

// tail is the share of a window's weight that lies above the 99th percentile.
const tail = 0.01

// weighed is a value of a call, with what it weighs.
type weighed struct {
	value, weight float64
	slot          uint8
}

// weighAll returns the known values of a quantity, the largest first; each call of a slot weighs the same.
func (s *sample) weighAll(q Quantity, w *weights) []weighed {
	all := make([]weighed, 0, len(s.calls))
	for i := range s.calls {
		c := &s.calls[i]
		v := float64(c.values[q])
		if math.IsNaN(v) {
			continue
		}
		all = append(all, weighed{value: v, weight: w.of[c.slot] / float64(s.kept[c.slot]), slot: c.slot})
	}
	slices.SortFunc(all, func(a, b weighed) int { return cmp.Compare(b.value, a.value) })
	return all
}

// cutTails cuts what a slot has above the 99th percentile of all other slots to that: 5 % of the weight would be enough for
// one source to set the 99th percentile alone. Where all are alike, it stays where it is. Values are sorted, the largest first.
func cutTails(values []weighed) {
	var total float64
	var of [slots]float64
	for _, v := range values {
		total += v.weight
		of[v.slot] += v.weight
	}
	var limit [slots]float64
	for s := range limit {
		if of[s] > 0 {
			limit[s] = othersTail(values, uint8(s), tail*(total-of[s])) //nolint:gosec // below slots
		}
	}
	for i := range values {
		values[i].value = min(values[i].value, limit[values[i].slot])
	}
}

// othersTail returns the largest value of other slots that has more than a weight of theirs at or above it.
func othersTail(values []weighed, slot uint8, weight float64) float64 {
	above := 0.0
	for _, v := range values {
		if v.slot == slot {
			continue
		}
		if above += v.weight; above > weight {
			return v.value
		}
	}
	return math.Inf(1) // there is no other
}
