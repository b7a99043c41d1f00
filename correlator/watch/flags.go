package watch

import (
	"math"
	"time"

	"fivetuple/correlator/flow"
	"fivetuple/correlator/signal"
)

const (
	// flagAt is the score from which on a verdict is given.
	flagAt = 0.5
	// watched is how many signals the watcher has; the first is signal.HalfOpen.
	watched = signal.Signals - signal.HalfOpen
	// scoreStep, in thousandths, is how much a score has to change to be written before its verdict is renewed.
	scoreStep = 50
)

// flag is a verdict in force. Each of its signals stays, with the strength that it had last, for the time of keep.
type flag struct {
	since    uint64
	seen     [watched]uint64
	strength [watched]float32
	written  flow.Verdict
}

// flags are the verdicts in force. When there are too many, more are refused.
type flags struct {
	all     map[flow.VerdictKey]*flag
	keep    uint64
	refused uint64
}

func newFlags(keep time.Duration) flags {
	return flags{all: make(map[flow.VerdictKey]*flag), keep: uint64(keep)}
}

func (f *flags) has(key flow.VerdictKey) bool { return f.all[key] != nil }

func sourceKey(address [16]byte) flow.VerdictKey {
	return flow.VerdictKey{Address: address, Kind: flow.VerdictSource}
}

// take adds strengths that were seen now.
func (f *flag) take(facts *signal.Facts, now uint64) {
	for i := range f.seen {
		if strength := facts.Strength(signal.HalfOpen + signal.Signal(i)); strength > 0 {
			f.seen[i], f.strength[i] = now, float32(strength)
		}
	}
}

// verdict returns what is in force at a time; without signals, if nothing is.
func (f *flag) verdict(now, keep uint64) (v signal.Verdict, expires uint64) {
	var facts signal.Facts
	for i, seen := range f.seen {
		if seen != 0 && now < seen+keep {
			facts.Add(signal.HalfOpen+signal.Signal(i), float64(f.strength[i]))
			expires = max(expires, seen+keep)
		}
	}
	return facts.Verdict(signal.All), expires
}

// outdated says whether a verdict says something else than what was written of it.
func (f *flag) outdated(v flow.Verdict, keep uint64) bool {
	apart := int(v.Score) - int(f.written.Score)
	return v.Signals != f.written.Signals || max(apart, -apart) >= scoreStep || v.Expires >= f.written.Expires+keep/4
}

// Said returns what a verdict of the table says.
func Said(v *flow.Verdict) signal.Verdict {
	return signal.Verdict{Score: float64(v.Score) / 1000, Signals: signal.Set(v.Signals) & signal.All}
}

func thousandths(score float64) uint16 { return uint16(math.Round(min(max(score, 0), 1) * 1000)) }
