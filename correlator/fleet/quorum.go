package fleet

import (
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
		v, ok := b.weigh(address, s, now)
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

// weigh returns what a quorum agrees on against an address. It is asked of all of them, four times a second.
func (b *Board) weigh(address [16]byte, s *source, now uint64) (Counted, bool) {
	held := b.own.table[address]
	if !isFlagged(&held, now) {
		held = flow.Verdict{}
	}
	if !s.isWeighed || held != s.own {
		t := b.tally(address, s, now)
		s.counted, s.isAgreed = t.agreed(b.options.Quorum)
		s.isWeighed, s.own = true, held
	}
	return s.counted, s.isAgreed
}
