package fleet

import (
	"net/netip"
	"slices"

	"fivetuple/correlator/signal"
)

// Effect says what becomes here of what other gateways hold against an address.
type Effect string

// The effects.
const (
	EffectEnforced Effect = "enforced"
	EffectObserved Effect = "observed" // it would be, but for the setting
	EffectTooFew   Effect = "too-few"  // gateways hold it flagged, or they agree on no signal
	EffectExempt   Effect = "exempt"   // trusted, or an address of this host or network
	EffectPardoned Effect = "pardoned" // by a person, here
	EffectLocal    Effect = "local"    // this host holds no less against it
)

// Row is what other gateways hold against an address, for people. Of too few it is the most that any of them says.
type Row struct {
	Address netip.Addr
	signal.Verdict
	Since  int64    // milliseconds since 1970, Redis' clock: the first of them
	Until  uint64   // CLOCK_MONOTONIC nanoseconds
	By     []string // the other gateways, sorted
	Effect Effect
}

// Rows returns what is known of other gateways' flags, in no order.
func (b *Board) Rows(now uint64) []Row {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forget(now)
	rows := make([]Row, 0, len(b.sources))
	for address, s := range b.sources {
		r := Row{Address: netip.AddrFrom16(address).Unmap(), Since: maxTime}
		for _, c := range s.claims {
			r.Since = min(r.Since, c.since)
			r.By = append(r.By, c.by.name)
		}
		slices.Sort(r.By)
		t := b.tally(address, s, now)
		v, ok := t.agreed(b.options.Quorum)
		r.Effect = b.effect(address, s, v, ok, now)
		if !ok {
			v, _ = t.agreed(1)
		}
		r.Verdict, r.Until = v.Verdict, v.Until
		rows = append(rows, r)
	}
	return rows
}

// effect is what List makes of an address, with the reason.
func (b *Board) effect(address [16]byte, s *source, v Counted, agreed bool, now uint64) Effect {
	held, isHeld := b.own.table[address]
	isHeld = isHeld && held.Expires > now
	isEnforced := b.options.SharedVerdicts == VerdictsEnforce
	switch {
	case isHeld && held.Score == 0:
		return EffectPardoned
	case s.isExempt:
		return EffectExempt
	case isHeld && (!isEnforced || !agreed || v.Score <= float64(held.Score)/1000):
		return EffectLocal
	case !agreed:
		return EffectTooFew
	case isEnforced:
		return EffectEnforced
	}
	return EffectObserved
}
