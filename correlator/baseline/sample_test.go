package baseline

import (
	"math/rand/v2"
	"testing"
)

// TestSampleIsFair: of a source that calls 100,000 times and 63 that call eight times, all calls of the 63 are kept.
func TestSampleIsFair(t *testing.T) {
	for _, floodFirst := range []bool{true, false} {
		var s sample
		random := rand.New(rand.NewPCG(1, 2))
		flood := func() {
			for range 100_000 {
				s.add(0, &[Quantities]float32{}, random)
			}
		}
		if floodFirst {
			flood()
		}
		for i := range 63 * 7 {
			s.add(uint8(1+i%63), &[Quantities]float32{}, random)
		}
		if !floodFirst {
			flood()
		}
		for slot := 1; slot < 64; slot++ {
			if s.kept[slot] != 7 || s.counts[slot] != 7 {
				t.Errorf("flood first (%v): of slot %d %d of %d calls are kept", floodFirst, slot, s.kept[slot], s.counts[slot])
			}
		}
		if len(s.calls) != sampleCalls || s.kept[0] != sampleCalls-63*7 || s.counts[0] != 100_000 {
			t.Errorf("flood first (%v): %d calls are kept, %d of the flood", floodFirst, len(s.calls), s.kept[0])
		}
	}
}

// TestSampleHasNoFavourites: early and late calls of a slot are kept alike, while others take its room.
func TestSampleHasNoFavourites(t *testing.T) {
	const calls, parts, rounds = 4000, 4, 200
	random := rand.New(rand.NewPCG(3, 4))
	var kept [parts]int
	for range rounds {
		var s sample
		for i := range calls {
			s.add(5, &[Quantities]float32{float32(i)}, random)
			if i%8 == 0 {
				s.add(uint8(64+i/8%64), &[Quantities]float32{}, random)
			}
		}
		for _, c := range s.calls {
			if c.slot == 5 {
				kept[int(c.values[0])*parts/calls]++
			}
		}
	}
	sum := 0
	for _, n := range kept {
		sum += n
	}
	for part, n := range kept {
		if share := float64(n) / float64(sum); share < 0.23 || share > 0.27 {
			t.Errorf("quarter %d has %.3f of what is kept: %v", part, share, kept)
		}
	}
}

func TestSourcesAreCounted(t *testing.T) {
	for _, number := range []int{1, 2, 63, 64, 65, 1000, 1_000_000} {
		var s sources
		for range 2 {
			for i := range number {
				s.add(mix(uint64(i)+12345), i%4 == 0)
			}
		}
		got := s.number()
		if number <= keptSources && got != number || got < number*6/10 || got > number*15/10 {
			t.Errorf("%d sources are counted as %d", number, got)
		}
		if share := s.abnormalShare(); number > 10 && (share < 0.1 || share > 0.45) {
			t.Errorf("of %d sources a share of %.2f is abnormal", number, share)
		}
		for _, c := range s.kept {
			if c.normal+c.abnormal != 2 {
				t.Fatalf("of %d sources one has %+v", number, c)
			}
		}
	}
}
