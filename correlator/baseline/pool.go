package baseline

import "fivetuple/correlator/sketch"

// pool puts together what several gateways have of one quantity, bin by bin, and cuts their tails: 1 % of the weight is
// enough to set the 99th percentile. It takes as long as it has bins, for each part.
type pool struct {
	parts []*part // as many as were ever needed
	used  int
	all   part
	slack int
	top   int                 // the bin of sketch.MaxValue: what others have above is not a value
	floor [Quantities + 1]int // the bins of the floors of drift.go, below which nobody is harmed, and nothing is cut
}

// fewSlack is the factor above the others' 99th percentile at which a tail is cut where there are few gateways. It lets two
// that differ a little be merged as they are; by that much, one of them can move the 99th percentile.
const fewSlack = 2

func newPool(s sketch.Sketch) (p pool) {
	p.top = s.Bin(sketch.MaxValue)
	p.slack = s.Bin(fewSlack*1000) - s.Bin(1000)
	for q, floor := range floors() {
		p.floor[q] = s.Bin(floor)
	}
	p.floor[Quantities] = s.Bin(rateFloor)
	return p
}

func (p *pool) clear() {
	for _, part := range p.parts[:p.used] {
		part.clear()
	}
	p.all.clear()
	p.used = 0
}

// A tail is cut where two gateways or this one say so: between two strangers, the lower one would decide.
const enoughVoices = 2

// part returns a new part, which is empty.
func (p *pool) part(r role, voices int) *part {
	if p.used == len(p.parts) {
		p.parts = append(p.parts, new(part))
	}
	p.used++
	one := p.parts[p.used-1]
	one.role, one.voices = r, voices
	return one
}

// pour puts all parts but references into a sketch.
func (p *pool) pour(out sketch.Sketch, q Quantity, isStrict bool) {
	slack := p.slack
	if isStrict {
		slack = 0
	}
	voices := 0
	for _, part := range p.parts[:p.used] {
		if part.total > 0 {
			voices += part.voices
		}
		for bin := part.low; bin <= part.high; bin++ {
			if part.bins[bin] > 0 {
				p.all.addBin(bin, part.bins[bin])
			}
		}
	}
	out.Clear()
	for _, part := range p.parts[:p.used] {
		if part.role == reference {
			continue
		}
		limit := p.top
		if part.role == cut && voices-part.voices >= enoughVoices {
			limit = min(max(p.othersTail(part)+slack, p.floor[q]), p.top)
		}
		for bin := part.low; bin <= part.high; bin++ {
			if part.bins[bin] > 0 {
				out.AddBin(min(bin, limit), part.bins[bin])
			}
		}
	}
}

// othersTail returns the bin of the 99th percentile of all other parts.
func (p *pool) othersTail(one *part) int {
	above, others := 0.0, p.all.total-one.total
	for bin := p.all.high; bin > 0; bin-- {
		if above += p.all.bins[bin] - one.bins[bin]; above > tail*others {
			return bin
		}
	}
	return 0
}
