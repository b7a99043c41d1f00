package fleet

import (
	"math"
	"net/netip"
	"slices"

	"fivetuple/correlator/flow"
	"fivetuple/correlator/signal"
)

// source is an address that other gateways hold flagged.
type source struct {
	isExempt bool
	claims   []claim
	first    uint64 // of the claims' ends; 0: to be found
	// What the claims and this host's flag come to, until one of them changes or ends.
	isWeighed bool
	own       flow.Verdict
	counted   Counted
	isAgreed  bool
}

// claim is what one gateway holds against an address.
type claim struct {
	by       *peer
	score    float64
	signals  signal.Set
	isManual bool
	since    int64  // milliseconds since 1970, Redis' clock
	until    uint64 // kernel's clock
}

// claim notes what a gateway holds against an address, in place of what it held before.
func (b *Board) claim(p *peer, f *Flag, now Moment) {
	c := claim{
		by: p, score: f.Score, signals: f.signals(), isManual: f.Origin == originManual,
		since: f.Since, until: now.toKernel(f.Until, maxAhead),
	}
	address := f.Address.As16()
	if c.until == 0 {
		b.drop(p, address)
		return
	}
	s := b.sources[address]
	if s != nil {
		if old := s.by(p); old != nil {
			*old = c
			s.changed()
			return
		}
	}
	if len(p.addresses) >= maxFlags || s == nil && len(b.sources) >= maxSources || s != nil && len(s.claims) >= maxClaims {
		b.counts.Refused++
		return
	}
	if s == nil {
		s = &source{isExempt: b.exempt.has(netip.AddrFrom16(address).Unmap())}
		b.sources[address] = s
	}
	s.claims = append(s.claims, c)
	s.changed()
	p.addresses[address] = struct{}{}
}

// by returns a gateway's claim; nil: it has none.
func (s *source) by(p *peer) *claim {
	for i := range s.claims {
		if s.claims[i].by == p {
			return &s.claims[i]
		}
	}
	return nil
}

// drop forgets what a gateway held against an address.
func (b *Board) drop(p *peer, address [16]byte) {
	s := b.sources[address]
	if s == nil {
		return
	}
	if c := s.by(p); c != nil {
		last := len(s.claims) - 1
		*c, s.claims[last] = s.claims[last], claim{}
		s.claims = s.claims[:last]
		s.changed()
		delete(p.addresses, address)
	}
	if len(s.claims) == 0 {
		delete(b.sources, address)
	}
}

// changed says that a claim has come, gone, or become another.
func (s *source) changed() { s.isWeighed, s.first = false, 0 }

// forget removes what has expired, and gateways that have had nothing to say for long.
func (b *Board) forget(now uint64) {
	for address, s := range b.sources {
		if now < s.first {
			continue
		}
		s.claims = slices.DeleteFunc(s.claims, func(c claim) bool {
			if now < c.until {
				return false
			}
			delete(c.by.addresses, address)
			return true
		})
		if len(s.claims) == 0 {
			delete(b.sources, address)
			continue
		}
		s.isWeighed, s.first = false, math.MaxUint64
		for i := range s.claims {
			s.first = min(s.first, s.claims[i].until)
		}
	}
	for name, p := range b.peers {
		if len(p.addresses) == 0 && now >= p.heard+peerTime {
			delete(b.peers, name)
		}
	}
}
