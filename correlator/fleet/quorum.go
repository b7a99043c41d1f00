package fleet

import (
	"slices"

	"fivetuple/correlator/flow"
	"fivetuple/correlator/signal"
)

// Counted is what the fleet holds against an address.
type Counted struct {
	signal.Verdict
	Until uint64 // CLOCK_MONOTONIC nanoseconds
	// Observed: it would count, if verdicts were not only observed.
	Observed bool
}

// List hands over what counts here besides what this host's table holds, as it was at the last Own: what a quorum of gateways
// holds flagged at this moment. Of an address that the table has, only a higher score counts, and nothing if it is pardoned.
func (b *Board) List(now uint64, add func(address [16]byte, c Counted)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forget(now)
	b.counts.Listed = 0
	if b.isOff() {
		return
	}
	for address, s := range b.sources {
		t := b.tally(address, s, now)
		v, ok := t.agreed(b.options.Quorum)
		switch b.effect(address, s, v, ok, now) {
		case EffectObserved:
			v.Observed = true
		case EffectEnforced:
		default:
			continue
		}
		b.counts.Listed++
		add(address, v)
	}
}

// forget removes what has expired, and gateways that have had nothing to say for long.
func (b *Board) forget(now uint64) {
	for address, s := range b.sources {
		s.claims = slices.DeleteFunc(s.claims, func(c claim) bool {
			if now < c.until {
				return false
			}
			delete(c.by.addresses, address)
			return true
		})
		if len(s.claims) == 0 {
			delete(b.sources, address)
		}
	}
	for name, p := range b.peers {
		if len(p.addresses) == 0 && now >= p.heard+peerTime {
			delete(b.peers, name)
		}
	}
}

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
