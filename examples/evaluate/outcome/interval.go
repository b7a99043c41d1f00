package outcome

import (
	"encoding/json"
	"math"
)

// Rate is a number of rare events, as a rate, with the exact 95 % confidence interval of a Poisson process (Garwood, 1936):
// the lowest and the highest mean under which as many, or as few, events still have a chance of 2.5 %.
type Rate struct {
	Events int
	Per    float64
	Low    float64
	High   float64 // infinite, if there were no units to have events in
}

// MarshalJSON writes a rate; an infinite bound, which JSON has no number for, is null.
func (r Rate) MarshalJSON() ([]byte, error) {
	out := struct {
		Events int      `json:"events"`
		Per    float64  `json:"rate"`
		Low    float64  `json:"low"`
		High   *float64 `json:"high"`
	}{Events: r.Events, Per: r.Per, Low: r.Low}
	if !math.IsInf(r.High, 1) {
		out.High = &r.High
	}
	return json.Marshal(out)
}

// RateOf returns the rate of events in a number of units.
func RateOf(events int, units float64) Rate {
	if units <= 0 {
		return Rate{Events: events, High: math.Inf(1)}
	}
	const tail = 0.025
	r := Rate{Events: events, Per: float64(events) / units}
	if events > 0 { // the mean at which events or more are as rare as the tail
		r.Low = mean(events, 1-tail, events-1) / units
	}
	r.High = mean(events, tail, events) / units
	return r
}

// mean returns the mean of a Poisson distribution at which at most n events have a probability.
func mean(around int, probability float64, n int) float64 {
	low, high := 0.0, float64(around)+20+10*math.Sqrt(float64(around))
	for range 100 {
		middle := (low + high) / 2
		if atMost(n, middle) > probability {
			low = middle
		} else {
			high = middle
		}
	}
	return (low + high) / 2
}

// atMost is the probability of at most n events.
func atMost(n int, mean float64) (p float64) {
	for k := range n + 1 {
		logOf, _ := math.Lgamma(float64(k) + 1)
		p += math.Exp(float64(k)*math.Log(mean) - mean - logOf)
	}
	return p
}
