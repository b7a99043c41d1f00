package baseline

import "fivetuple/correlator/sketch"

// part is what one gateway brings, or several that were put together before.
type part struct {
	role
	voices    int // how many gateways speak for it; this one speaks for two
	bins      [sketch.MaxBins]float64
	low, high int // no bin outside has a weight
	total     float64
}

// role is what becomes of a part.
type role uint8

const (
	whole     role = iota // it is taken as it is
	cut                   // what it has above the others is cut
	reference             // others are cut by it, and it is not taken
)

func (p *part) clear() {
	clear(p.bins[p.low : p.high+1])
	p.low, p.high, p.total = 0, 0, 0
}

// add adds a sketch, its weights times a factor.
func (p *part) add(from sketch.Packed, factor float64) {
	if factor == 0 {
		return
	}
	if err := from.ForEach(func(bin int, weight float64) { p.addBin(bin, weight*factor) }); err != nil {
		panic(err) // packed here, or checked when it was read
	}
}

func (p *part) addBin(bin int, weight float64) {
	if p.total == 0 {
		p.low, p.high = bin, bin
	}
	p.low, p.high = min(p.low, bin), max(p.high, bin)
	p.bins[bin] += weight
	p.total += weight
}
