package baseline

import (
	"cmp"
	"slices"
)

// weights are what the calls of each slot weigh in a window.
type weights struct {
	of     [slots]float64
	total  float64
	slots  int  // with calls
	isMany bool // enough slots that each can be held to Options.SourceShare
}

// weigh gives each call the weight 1, and holds a source that has called more than others to its share, whenever in the
// window it called:
//
//   - Where so many call that each can be (20, if the share is 5 %), none weighs more than the share of the whole.
//   - Where fewer call, none weighs more than the one that calls second most, or than the least that closes a window, if
//     that is more: two load balancers count in full, a third party that calls once does not push them down to one call,
//     and one that floods weighs no more than the busiest other.
//   - A source that is alone counts in full: it is all there is to learn from.
func (o *Options) weigh(counts *[slots]uint64) (w weights) {
	sorted := *counts
	slices.SortFunc(sorted[:], func(a, b uint64) int { return cmp.Compare(b, a) })
	for w.slots < slots && sorted[w.slots] > 0 {
		w.slots++
	}
	w.isMany = o.isMany(w.slots)
	limit := 0.0
	switch {
	case w.isMany:
		limit = shareLimit(sorted[:w.slots], o.SourceShare)
	case w.slots > 1:
		limit = max(float64(sorted[1]), o.minWeight())
	case w.slots == 1:
		limit = float64(sorted[0])
	}
	for i, n := range counts {
		w.of[i] = min(float64(n), limit)
		w.total += w.of[i]
	}
	return w
}

// shareLimit returns the limit by which no count, cut to it, is more than a share of the sum of all counts, cut to it. Counts
// are sorted, the largest first, and there are at least 1/share.
func shareLimit[T uint64 | float64](counts []T, share float64) (limit float64) {
	rest := 0.0
	for _, n := range counts {
		rest += float64(n)
	}
	for cut, n := range counts { // the limit, if so many counts are cut to it: limit = share * (cut*limit + rest)
		limit = share * rest / (1 - float64(cut)*share)
		if float64(n) <= limit*(1+1e-9) || cut == len(counts)-1 || float64(cut+1)*share >= 1-1e-9 {
			break
		}
		rest -= float64(n)
	}
	return limit
}
