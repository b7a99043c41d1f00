package baseline

import (
	"math"
	"time"
)

// What bounds poisoning by a slow ramp is not that calls are judged, because each can lie just below what is flagged, and
// not that sources are held to their share, because an attacker may have many. It is this: each time a window is closed, a
// quantile of what is usual moves toward what the windows say by at most a factor, f = Drift^(1/n), where n is how often it
// has moved since the key's baseline became ready, at most as many times as windows fit into a day. A baseline that is a day
// old so moves by at most Drift a day, whoever feeds it and whatever they send; one that is new, and may have been learned
// from too few calls, finds its place sooner: by at most Drift^(1+1/2+...+1/n) in its first n windows, which is 22 in the
// first day of 48 windows with Drift 2. What changes faster than that is unusual, until most calls of most sources say
// otherwise (shift.go). Below a floor, where nobody is harmed, quantiles move freely.

// floors are where the bound begins: below, a factor says nothing, and from 0 none leads away.
func floors() *[Quantities]float64 {
	return &[Quantities]float64{Size: 1500, Receive: 1000, Wait: 1000, RTT: 1000, Response: 1000}
}

const rateFloor = 1

// step returns the factor by which a quantile may move at the n-th time, n counted from 1.
func (o *Options) step(n int) float64 {
	day := max(int(24*time.Hour/o.Window), 1)
	return math.Pow(o.Drift, 1/float64(min(max(n, 1), day)))
}

// limit holds what was learned to what was usual before.
func (u *Usual) limit(before *Usual, factor float64) {
	if !before.Ready {
		return
	}
	for q, floor := range floors() {
		u.Quantities[q].limit(before.Quantities[q], factor, floor)
	}
	u.Rate.limit(before.Rate, factor, rateFloor)
}

func (r *Range) limit(before Range, factor, floor float64) {
	if before == (Range{}) { // not known
		return
	}
	if *r == (Range{}) { // what is not known for a time would be free to move
		*r = before
		return
	}
	r.P50 = limited(r.P50, before.P50, factor, floor)
	r.P99 = max(limited(r.P99, before.P99, factor, floor), r.P50)
}

func limited(value, before, factor, floor float64) float64 {
	high := max(before*factor, floor)
	low := before / factor
	if before <= floor {
		low = 0
	}
	return min(max(value, low), high)
}
