package watch

import "math"

const (
	// buckets of a usual, each a quarter of a doubling: up to 2^16.
	buckets = 64
	// usualMemory is how many values count; then all count half.
	usualMemory = 1 << 16
	// enough values make something usual.
	enough = 60
)

// usual is what a figure usually is: a histogram that forgets. It learns no figure that was flagged, so that nobody makes
// his flood usual, and what can be made usual is at most what is allowed anyway.
type usual struct {
	counts [buckets]float64
	total  float64
}

// learn takes a value; 0 and less are not of interest.
func (u *usual) learn(value float64) {
	if !(value > 0) {
		return
	}
	u.counts[bucket(value)]++
	u.total++
	if u.total < usualMemory {
		return
	}
	u.total = 0
	for i := range u.counts {
		u.counts[i] /= 2
		u.total += u.counts[i]
	}
}

func bucket(value float64) int {
	return int(min(max(4*math.Log2(value), 0), buckets-1))
}

// most returns what 99 of 100 values do not exceed, to a fifth; 0: too few are known.
func (u *usual) most() float64 {
	if u.total < enough {
		return 0
	}
	sum := 0.0
	for i, n := range u.counts {
		if sum += n; sum >= 0.99*u.total {
			return math.Exp2(float64(i+1) / 4)
		}
	}
	return 0
}
