package simulated

import (
	"fmt"
	"math"
	"time"

	"fivetuple/correlator/baseline"
	"fivetuple/examples/evaluate/outcome"
)

// attackers are how many sources take part in a ramp, beside honestMeters.
const attackers = 40

// Ramps lets attackers make more and more usual, slowly: sources of their own, two of five, whose reports take a little longer
// and are a little larger each half an hour. The figure is by what factor the 99th percentile moved in the worst day.
func Ramps(settings Settings, seed uint64) (all []outcome.Learning, err error) {
	o := settings.Baseline
	windows := int(day / o.Window)
	young := 0.0 // the sum of 1/n: correlator/baseline/drift.go
	for n := range windows {
		young += 1 / float64(n+1)
	}
	for _, r := range []ramp{
		{name: "slow ramp", after: day + o.Window, days: 2, growth: 1.05, bound: o.Drift},
		{name: "slow ramp, new baseline", after: time.Hour, days: 1, growth: 1.1, bound: math.Pow(o.Drift, young)},
	} {
		one, err := learn(settings, seed, r.play(o.Window))
		if err != nil {
			return all, err
		}
		all = append(all, one)
	}
	return all, nil
}

type ramp struct {
	name          string
	after         time.Duration // how old the baseline is
	days          int
	growth, bound float64 // in a window, in a day
}

func (r *ramp) play(window time.Duration) func(*world) outcome.Learning {
	return func(w *world) outcome.Learning {
		w.meters(honestMeters, w.report)
		w.run(r.after)
		begin, flags := w.now, w.result.Flags
		m := w.meters(attackers, nil)
		m.next = func() *call {
			factor := math.Pow(r.growth, float64(w.now-begin)/float64(window))
			a := w.report()
			a.body = int(float64(a.body) * factor)
			a.piece, a.pace = a.body/4+1, time.Duration(factor*float64(5*time.Millisecond))
			return a
		}
		result := outcome.Learning{
			Name: r.name, Quantity: "99th percentile, factor a day", Bound: r.bound,
			What: fmt.Sprintf("%d of %d sources; what they send grows by %.0f %% in each window, %.0f times in a day",
				attackers, attackers+honestMeters, (r.growth-1)*100, math.Pow(r.growth, float64(day/window))),
			Details: map[string]float64{},
		}
		for d := range r.days {
			before := *w.usual()
			w.run(day)
			moved(&result, &before.Quantities, &w.usual().Quantities, d+1)
		}
		result.Details["flags"] = float64(w.result.Flags - flags)
		return result
	}
}

// moved notes by what factor quantities moved in a day. Below a floor, where nobody is harmed, they move freely.
func moved(to *outcome.Learning, before, now *[baseline.Quantities]baseline.Range, day int) {
	for _, q := range []struct {
		name  string
		of    baseline.Quantity
		floor float64
	}{{"size", baseline.Size, 1500}, {"receive", baseline.Receive, 1000}} {
		factor := now[q.of].P99 / max(before[q.of].P99, q.floor)
		to.Details[fmt.Sprintf("%s_day_%d", q.name, day)] = factor
		to.Figure = max(to.Figure, factor)
	}
}
