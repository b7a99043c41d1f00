package baseline

import (
	"time"

	"github.com/cespare/xxhash/v2"
)

// Want is what should be asked of the other gateways: their windows of a key, of some periods, the oldest first.
type Want struct {
	Key     Key
	Periods []int64
}

const (
	// wantedAtOnce is how many keys are asked for in one call of Wants.
	wantedAtOnce = 64
	// askAgain is how long an answer is waited for, and how often the latest periods of a key without a verdict are asked for.
	askAgain = 30 * time.Second
	// grace is how long after the last moment of a period its windows are there, at the latest.
	grace = 5 * time.Second
)

// Wants is called once a second or so. Of a key that is called and has no verdict it asks for all periods at once, so that a
// gateway that starts is warm within seconds, and then again for the latest ones; of one that has a verdict for a period a
// window, once all gateways have closed it. Gateways and keys spread that over a quarter of a window. What Merge was told of
// is not asked for again.
func (b *Baselines) Wants(now uint64) (wants []Want) {
	b.rotating.Lock()
	defer b.rotating.Unlock()
	if !b.isShared() {
		return nil
	}
	for range b.entries {
		if len(wants) == wantedAtOnce {
			break
		}
		e := b.entries[b.asking%len(b.entries)]
		b.asking++
		if periods := b.missing(e, now); len(periods) > 0 {
			e.asked = now
			wants = append(wants, Want{Key: e.key, Periods: periods})
		}
	}
	return wants
}

func (b *Baselines) missing(e *entry, now uint64) (periods []int64) {
	if e.asked != 0 && now-e.asked < uint64(min(askAgain, b.o.Window)) {
		return nil
	}
	latest := b.o.period(b.wall(now))
	e.rewind(latest)
	last := b.due(e, now)
	if !e.usual.Load().Ready {
		if e.asked != 0 && e.lastCall() < e.asked {
			return nil
		}
		last = latest
	}
	for p := max(e.answered, e.replaced, latest-int64(b.o.Windows)) + 1; p <= last; p++ {
		periods = append(periods, p)
	}
	return periods
}

// due returns the latest period of which all gateways have told their windows. Windows are closed until a quarter of a window
// after their end; whose clock is wrong by less than the other quarter is not late.
func (b *Baselines) due(e *entry, now uint64) int64 {
	quarter := int64(b.o.Window) / 4
	jitter := int64((xxhash.Sum64String(e.key.Route) ^ b.salt) % uint64(quarter)) //nolint:gosec // below a quarter
	return (b.wall(now) - 2*quarter - min(int64(grace), quarter) - jitter) / int64(b.o.Window)
}

func (e *entry) lastCall() uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.last
}
