package signal

import "math"

// above is the strength of a figure that means nothing below a floor: half at the floor, 0.88 at twice, 0.97 at four times.
func above(figure, floor float64) float64 {
	if !(figure >= floor) || math.IsInf(floor, 1) { // no number is none
		return 0
	}
	ratio := floor / figure
	return 1 - ratio*ratio/2
}

const (
	// farAbove is how many times its floor a rate is far beyond it.
	farAbove = 8
	// rateAlone is what a rate is worth until then: a busy honest client differs from a flood in nothing but its rate.
	rateAlone = 0.6
)

// rate is above for a figure that is nothing but a rate.
func rate(figure, floor float64) float64 {
	strength := above(figure, floor)
	if figure < farAbove*floor {
		strength = min(strength, rateAlone)
	}
	return strength
}

// usualTimes is how many times what others usually do a rate has to be, once that is known.
const usualTimes = 4

// unusual returns the floor of a rate: the given one, or a multiple of what is usual (0: not known yet).
func unusual(floor, usual float64) float64 { return max(floor, usualTimes*usual) }

// portion returns a part's share of part and rest; 0 if there is neither.
func portion(part, rest float64) float64 {
	if part <= 0 {
		return 0
	}
	return part / (part + max(rest, 0))
}
