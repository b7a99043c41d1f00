package fleet

import (
	"errors"
	"fmt"
)

// errClock means that flags came before Redis' clock was known.
var errClock = errors.New("flags before the clock")

// Hear takes what another gateway, named by the key or the channel, says: its whole list, or changes. What is not sound
// changes nothing; the error is ErrVersion or ErrDamaged, and counted.
func (b *Board) Hear(gateway string, payload []byte, isWhole bool, now Moment) error {
	if gateway == b.options.Gateway || b.isOff() {
		return nil
	}
	if err := ValidName(gateway); err != nil {
		return fmt.Errorf("hear flags: %w: %w", ErrDamaged, err)
	}
	if now.Redis == 0 {
		return errClock
	}
	f, err := DecodeFlags(payload)
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case errors.Is(err, ErrVersion):
		b.counts.Unknown++
	case err != nil:
		b.counts.Damaged++
	}
	if err != nil {
		return fmt.Errorf("hear flags of %s: %w", gateway, err)
	}
	b.counts.Heard++
	p := b.peer(gateway, now.Kernel)
	switch {
	case p == nil:
		b.counts.Refused += uint64(len(f.Flags))
	case isWhole:
		b.replace(p, &f, now)
	default:
		b.change(p, &f, now)
	}
	return nil
}

// peer returns a gateway by its name; nil, if there are too many.
func (b *Board) peer(name string, now uint64) *peer {
	p := b.peers[name]
	if p == nil {
		if len(b.peers) >= maxPeers {
			return nil
		}
		p = &peer{name: name, addresses: map[[16]byte]struct{}{}}
		b.peers[name] = p
	}
	p.heard = now
	return p
}

// replace takes a gateway's whole list, unless it is older than the changes that were heard.
func (b *Board) replace(p *peer, f *Flags, now Moment) {
	if f.Instance == p.instance && f.Number < p.number {
		return
	}
	stays := make(map[[16]byte]struct{}, len(f.Flags))
	for i := range f.Flags {
		stays[f.Flags[i].Address.As16()] = struct{}{}
	}
	for address := range p.addresses {
		if _, ok := stays[address]; !ok {
			b.drop(p, address)
		}
	}
	b.take(p, f, now)
	p.instance, p.number, p.isBehind = f.Instance, f.Number, false
}

// change takes what has changed since the change before, or since one that was missed.
func (b *Board) change(p *peer, f *Flags, now Moment) {
	isSame := f.Instance == p.instance
	if isSame && f.Number <= p.number {
		return // nothing has changed, or it is known
	}
	isNext := isSame && f.Number == p.number+1 && len(f.Flags)+len(f.Gone) > 0 // with neither it names a change before it
	if !isNext {
		b.miss(p)
	}
	for _, a := range f.Gone {
		b.drop(p, a.As16())
	}
	b.take(p, f, now)
	p.instance, p.number = f.Instance, f.Number
}

func (b *Board) take(p *peer, f *Flags, now Moment) {
	for i := range f.Flags {
		b.claim(p, &f.Flags[i], now)
	}
}
