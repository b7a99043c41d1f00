package baseline

import "slices"

// renew makes what is usual of the closed windows and the fleet's, within what the drift allows. It moves once in each window
// of the wall clock: what comes later in one is learned from where it began, so that other gateways make nothing move faster.
func (b *Baselines) renew(e *entry, now uint64) {
	if period := b.wall(now) / int64(b.o.Window); e.before == nil || e.renewed != period {
		e.renewed, e.before = period, e.usual.Load()
		if e.before.Ready {
			e.steps++
		}
	}
	if b.close.isEnough(weightOf(e.closed)) {
		e.forget(b.o.period(b.wall(now)) - int64(b.o.Windows))
		e.standAlone()
	}
	u := b.close.usual(e.closed, e.fleet)
	if !u.Ready && e.usual.Load().Ready { // others say less than they did: a baseline that comes and goes would be free to move
		return
	}
	u.limit(e.before, b.o.step(e.steps))
	e.usual.Store(u)
}

// forget drops the fleet's windows up to a period, of a key that can do without.
func (e *entry) forget(period int64) {
	for len(e.fleet) > 0 && e.fleet[0].period <= period {
		e.fleet = slices.Delete(e.fleet, 0, 1)
	}
}

// standAlone lets what is usual move freely once, when this gateway's own calls are enough for a verdict: without the others'
// word there would be none before, and a wrong one would be in the way for days.
func (e *entry) standAlone() {
	if !e.isOwn {
		e.isOwn, e.before, e.steps = true, new(Usual), 0
	}
}
