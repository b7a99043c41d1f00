package baseline

import "fivetuple/correlator/sketch"

// rates are how many calls a key has had each second: those that were learned, and all.
type rates struct {
	normal, all float64
	at          uint64        // when counting began, CLOCK_MONOTONIC nanoseconds
	perSecond   sketch.Sketch // of those that were learned, a second's weight each
	allPer      sketch.Sketch
}

func newRates(now uint64) rates { return rates{at: now, perSecond: sketch.New(), allPer: sketch.New()} }

func (r *rates) count(abnormal bool) {
	r.all++
	if !abnormal {
		r.normal++
	}
}

// tick ends a second. Rotations come a second apart or so; what lies between them is taken as steady.
func (r *rates) tick(now uint64) {
	if now <= r.at {
		return
	}
	seconds := float64(now-r.at) / 1e9
	r.perSecond.Add(r.normal/seconds, seconds)
	r.allPer.Add(r.all/seconds, seconds)
	r.normal, r.all, r.at = 0, 0, now
}
