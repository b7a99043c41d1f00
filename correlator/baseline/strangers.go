package baseline

import (
	"slices"
	"strings"
	"unique"

	"fivetuple/correlator/sketch"
)

// Stranger is a gateway whose calls are of another kind than this one's under the same names: two fleets have one name.
type Stranger struct {
	Gateway string
	Keys    int // that both have calls of
	Apart   int // of them, those whose medians differ
}

const (
	// strangeKeys is how many keys two gateways have to share before one of them is a stranger.
	strangeKeys = 3
	// strangeFactor is by what factor the medians of size or response differ, at least, in more than half of the keys.
	strangeFactor = 4
)

// acquaintance is how a gateway's calls of a key compare with this one's.
type acquaintance struct {
	gateway unique.Handle[string]
	isApart bool
}

// meet compares the others' medians with those of this gateway's own window of the period, or of its last one.
func (c *closer) meet(e *entry, own []*window, others []*heard) {
	if len(own) == 0 {
		own = e.closed[max(len(e.closed)-1, 0):]
	}
	if len(own) == 0 || len(others) == 0 {
		return
	}
	e.met = e.met[:0]
	for _, h := range others {
		isApart := false
		for _, q := range []Quantity{Size, Response} {
			isApart = isApart || c.areApart(q, own[0].Sketches[q], h.Sketches[q])
		}
		e.met = append(e.met, acquaintance{h.gateway, isApart})
	}
}

func (c *closer) areApart(q Quantity, a, b sketch.Packed) bool {
	if len(a) == 0 || len(b) == 0 {
		return false
	}
	factor := c.sketch.Bin(strangeFactor*1000) - c.sketch.Bin(1000)
	floor := c.pool.floor[q]
	x, y := max(medianBin(a), floor), max(medianBin(b), floor)
	return max(x, y)-min(x, y) >= factor
}

// medianBin returns the bin of the median.
func medianBin(p sketch.Packed) (median int) {
	var total, below float64
	_ = p.ForEach(func(_ int, weight float64) { total += weight }) // checked when it was read
	_ = p.ForEach(func(bin int, weight float64) {
		if below < total/2 {
			median = bin
		}
		below += weight
	})
	return median
}

// Strangers returns the gateways that should not be in this fleet, by name.
func (b *Baselines) Strangers() (strangers []Stranger) {
	b.rotating.Lock()
	defer b.rotating.Unlock()
	met := map[unique.Handle[string]]*Stranger{}
	for _, e := range b.entries {
		for _, a := range e.met {
			s := met[a.gateway]
			if s == nil {
				s = &Stranger{Gateway: a.gateway.Value()}
				met[a.gateway] = s
			}
			s.Keys++
			if a.isApart {
				s.Apart++
			}
		}
	}
	for _, s := range met {
		if s.Keys >= strangeKeys && 2*s.Apart > s.Keys {
			strangers = append(strangers, *s)
		}
	}
	slices.SortFunc(strangers, func(a, b Stranger) int { return strings.Compare(a.Gateway, b.Gateway) })
	return strangers
}
