package baseline

import "math/rand/v2"

const (
	// sampleCalls is how many calls are kept of an open window.
	sampleCalls = 512
	// slots is how many groups of sources are told apart in a window. Sources land in them by a hash that changes from
	// window to window; where there are more sources than slots, a slot stands for several.
	slots = 128
)

// call is what is kept of one. NaN: not known.
type call struct {
	values [Quantities]float32
	slot   uint8
}

// sample is a bounded random sample of a window's calls, fair to its slots: when it is full, the slot with the most calls
// gives one up, so that a source that calls a million times leaves those alone that call a few. Within a slot each call has
// the same chance to be kept (Vitter's algorithm R). What a call weighs is decided when the window is closed.
type sample struct {
	counts [slots]uint64 // all calls
	kept   [slots]uint16
	calls  []call
}

// add takes a call.
func (s *sample) add(slot uint8, values *[Quantities]float32, random *rand.Rand) {
	s.counts[slot]++
	c := call{values: *values, slot: slot}
	if len(s.calls) < sampleCalls {
		s.kept[slot]++
		s.calls = append(s.calls, c)
		return
	}
	if uint64(s.kept[slot]) == s.counts[slot]-1 { // one that gave up calls cannot grow without favouring late ones
		if from := s.largest(); s.kept[slot] < s.kept[from] {
			s.calls[s.pick(from, random)] = c
			s.kept[from]--
			s.kept[slot]++
			return
		}
	}
	if random.Uint64N(s.counts[slot]) < uint64(s.kept[slot]) {
		s.calls[s.pick(slot, random)] = c
	}
}

func (s *sample) largest() (slot uint8) {
	for i, kept := range &s.kept {
		if kept > s.kept[slot] {
			slot = uint8(i) //nolint:gosec // below slots
		}
	}
	return slot
}

// pick returns a call of a slot, each with the same chance: of a slot with at least sampleCalls/slots of them it finds one at
// once. One that is rare is sought in turn, after as many tries as that costs.
func (s *sample) pick(slot uint8, random *rand.Rand) int {
	i := 0
	for range 2 * slots {
		if i = random.IntN(len(s.calls)); s.calls[i].slot == slot {
			return i
		}
	}
	for s.calls[i].slot != slot {
		i = (i + 1) % len(s.calls)
	}
	return i
}
