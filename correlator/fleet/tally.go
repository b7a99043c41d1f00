package fleet

import (
	"slices"

	"fivetuple/correlator/flow"
	"fivetuple/correlator/signal"
)

// tally is what gateways hold against one address. This one is among them.
type tally struct {
	scores  [maxClaims + 1]float64
	untils  [maxClaims + 1]uint64
	n       int
	manual  int
	signals [signal.Signals]int // how many name each
}

func (t *tally) add(c *claim) {
	t.scores[t.n], t.untils[t.n] = c.score, c.until
	t.n++
	if c.isManual {
		t.manual++
	}
	for s := range c.signals.Each {
		t.signals[s]++
	}
}

// tally counts what is held against an address at a time, here and elsewhere.
func (b *Board) tally(address [16]byte, s *source, now uint64) (t tally) {
	if held, ok := b.own.table[address]; ok && isFlagged(&held, now) {
		c := ownClaim(&held, now)
		t.add(&c)
	}
	for i := range s.claims {
		if c := &s.claims[i]; now < c.until {
			t.add(c)
		}
	}
	return t
}

// agreed returns what at least a quorum of gateways agrees on: that score, those signals, for that time. Signals that only
// fewer of them name are not agreed on; with none that is, nothing is. A person's word stands for every signal.
func (t *tally) agreed(quorum int) (v Counted, ok bool) {
	if quorum < 1 || t.n < quorum {
		return Counted{}, false
	}
	slices.Sort(t.scores[:t.n])
	slices.Sort(t.untils[:t.n])
	v.Score, v.Until = t.scores[t.n-quorum], t.untils[t.n-quorum]
	if t.manual >= quorum {
		return v, true // a person's word names no signal
	}
	for i, n := range t.signals {
		if n >= quorum {
			v.Signals |= 1 << i
		}
	}
	return v, v.Signals != 0
}

// ownClaim is what this gateway holds, as the others have it.
func ownClaim(v *flow.Verdict, now uint64) claim {
	c := claim{
		score: float64(min(v.Score, 1000)) / 1000, signals: signal.Set(v.Signals) & signal.All, isManual: v.Origin == flow.OriginManual,
		until: min(v.Expires, now+uint64(maxAhead)),
	}
	if c.isManual {
		c.signals = signal.All
	}
	return c
}
