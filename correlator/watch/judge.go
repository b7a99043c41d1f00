package watch

import (
	"fmt"

	"fivetuple/correlator/flow"
	"fivetuple/correlator/signal"
)

// readVerdicts notes what others hold, which the watcher never touches, and removes what nobody holds any more.
func (w *Watcher) readVerdicts(tables Tables) error {
	clear(w.held)
	err := tables.Verdicts(func(key flow.VerdictKey, v *flow.Verdict) {
		switch {
		case v.Origin == flow.OriginWatcher && w.flags.has(key): // expire sees to it
		case v.Expires <= w.now:
			w.report.Changes = append(w.report.Changes, Change{Key: key, Delete: true})
		case v.Origin != flow.OriginWatcher:
			w.held[key] = v.Score == 0
		}
	})
	if err != nil {
		return fmt.Errorf("read verdicts: %w", err)
	}
	return nil
}

// judgeSources judges the addresses that something was added to.
func (w *Watcher) judgeSources() {
	usualShort, usualPaced := w.usual.short.most(), w.usual.paced.most()
	for i := range w.sources.all {
		s := &w.sources.all[i]
		lively := s.touched == w.now || w.connections.done && s.paced > 0
		if !lively || s.trusted {
			continue
		}
		s.fade(w.now)
		if s.halfOf != w.handshakes.number {
			s.HalfOpen = 0
		}
		s.Active = float64(*w.active.at(&s.address))
		s.UsualShort, s.UsualPaced = usualShort, usualPaced
		facts := s.Facts()
		w.raise(sourceKey(s.address), &facts)
	}
}

// raise flags what facts are strong enough for, or adds them to the flag that is there. It returns whether there is one
// because of facts of now.
func (w *Watcher) raise(key flow.VerdictKey, facts *signal.Facts) bool {
	now := facts.Verdict(signal.All)
	if now.Signals == 0 {
		return false
	}
	if _, held := w.held[key]; held {
		return true // whoever holds it has said what it is worth
	}
	f := w.flags.all[key]
	begins := f == nil
	if begins {
		if now.Score < flagAt {
			return false
		}
		if len(w.flags.all) >= maxFlags {
			w.flags.refused++
			return false
		}
		f = &flag{since: w.now}
		w.flags.all[key] = f
	}
	f.take(facts, w.now)
	v := w.write(key, f)
	if begins {
		w.report.Began = append(w.report.Began, Event{key, v})
	}
	return true
}

// write reports a flag's verdict, if it is another than what was written, and returns it.
func (w *Watcher) write(key flow.VerdictKey, f *flag) signal.Verdict {
	v, expires := f.verdict(w.now, w.flags.keep)
	next := flow.Verdict{
		Since: f.since, Expires: expires, Signals: uint32(v.Signals), Score: thousandths(v.Score), Origin: flow.OriginWatcher,
	}
	if f.outdated(next, w.flags.keep) {
		f.written = next
		w.report.Changes = append(w.report.Changes, Change{Key: key, Verdict: next})
	}
	return v
}

// expire ends the flags whose reasons are too long ago, and those that somebody else has taken over.
func (w *Watcher) expire() {
	for key, f := range w.flags.all {
		_, held := w.held[key]
		v, _ := f.verdict(w.now, w.flags.keep)
		if !held && v.Signals != 0 {
			if uint32(v.Signals) != f.written.Signals {
				w.write(key, f)
			}
			continue
		}
		last := Said(&f.written)
		w.report.Ended = append(w.report.Ended, Event{key, last})
		if !held {
			w.report.Changes = append(w.report.Changes, Change{Key: key, Delete: true})
		}
		delete(w.flags.all, key)
	}
}
