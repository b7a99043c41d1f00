package baseline

import (
	"cmp"
	"slices"
)

// keptSources is how many sources of a period are followed one by one.
const keptSources = 64

// sources follows those sources of a period whose hashes are the smallest: a random choice among all of them, however often
// each calls (bottom-k sampling). It tells how many there are, and for how many of them most is abnormal.
type sources struct {
	kept  []sourceCalls // by hash
	other bool          // there are more
}

type sourceCalls struct {
	hash             uint64
	normal, abnormal uint32
}

// add counts a call of a source. One that has fallen out does not come back in: all that are kept are counted in full.
func (s *sources) add(hash uint64, abnormal bool) {
	if n := len(s.kept); n == keptSources && hash > s.kept[n-1].hash {
		s.other = true
		return
	}
	i, found := slices.BinarySearchFunc(s.kept, hash, func(c sourceCalls, hash uint64) int {
		return cmp.Compare(c.hash, hash)
	})
	if !found {
		if len(s.kept) == keptSources {
			s.kept, s.other = s.kept[:keptSources-1], true
		}
		s.kept = slices.Insert(s.kept, i, sourceCalls{hash: hash})
	}
	c := &s.kept[i]
	if abnormal && c.abnormal < 1<<31 {
		c.abnormal++
	} else if !abnormal && c.normal < 1<<31 {
		c.normal++
	}
}

// number returns how many sources there are: exactly up to keptSources, then within some 13 %.
func (s *sources) number() int {
	if !s.other {
		return len(s.kept)
	}
	const all = 1 << 63 // half of the hashes, so that it is a number
	return int((keptSources - 1) * 2 * (all / (float64(s.kept[keptSources-1].hash) + 1)))
}

// abnormalShare returns for which share of the sources most calls were abnormal.
func (s *sources) abnormalShare() float64 {
	n := 0
	for _, c := range s.kept {
		if c.abnormal > c.normal {
			n++
		}
	}
	return float64(n) / float64(max(len(s.kept), 1))
}
