package signal

// Facts are the strengths of what is not normal, 0 (nothing) to 1 (certain) each.
//
// The score of facts is the chance that at least one of them means something, if each meant something with a chance of its
// strength, and independently: 1 - (1-a)(1-b)... It is 0 without facts, never above 1, grows with each strength, and a fact
// that is certain makes it 1. A strength below that says how much a fact alone is worth: those that also happen to honest
// clients (a long road, a large upload) are capped so low that no one of them makes a flag.
type Facts struct {
	strength [Signals]float32
	source   Verdict // of the call's source, as it was told
}

// Verdict is a score and the signals that made it.
type Verdict struct {
	Score   float64 // 0 to 1
	Signals Set
}

// Add puts a strength in, if it is above what is there; one outside 0 to 1 is cut to it, and no number is 0.
func (f *Facts) Add(s Signal, strength float64) {
	if s < Signals && strength > float64(f.strength[s]) {
		f.strength[s] = float32(min(strength, 1))
	}
}

// AddSource puts the verdict on the call's source in.
func (f *Facts) AddSource(v Verdict) { f.source = v }

// Strength returns that of a signal.
func (f *Facts) Strength(s Signal) float64 { return float64(f.strength[s]) }

// Verdict returns the score of the facts that are in a set. The verdict on the source counts as one fact, if any of its
// signals is in the set, or it has none: then it is a person's word, which names no signal.
func (f *Facts) Verdict(of Set) Verdict {
	var v Verdict
	normal := 1.0
	for s, strength := range f.strength {
		if strength > 0 && of.Has(Signal(s)) {
			normal *= 1 - float64(strength)
			v.Signals |= 1 << s
		}
	}
	if told := f.source.Signals & of; told != 0 || f.source.Signals == 0 {
		normal *= 1 - min(max(f.source.Score, 0), 1)
		v.Signals |= told
	}
	v.Score = 1 - normal
	return v
}
