package baseline

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"fivetuple/correlator/sketch"
)

func TestWeights(t *testing.T) {
	o := Default() // the least that closes a window is 17
	many := slices.Repeat([]uint64{10}, 40)
	for _, test := range []struct {
		name   string
		counts []uint64
		total  float64
		isMany bool
	}{
		{"none", nil, 0, false},
		{"one", []uint64{100_000}, 100_000, false},
		{"two alike", []uint64{1000, 900}, 1800, false},
		{"two, and one that tries", []uint64{1000, 1000, 1}, 2001, false},
		{"one, and one that tries", []uint64{1000, 1}, 18, false},
		{"a flood beside a few", []uint64{1_000_000, 20, 10}, 50, false},
		{"many alike", many, 400, true},
		{"a flood beside many", append([]uint64{1_000_000}, many...), 400 / 0.95, true},
		{"two floods beside many", append([]uint64{1_000_000, 2_000_000}, many...), 400 / 0.9, true},
		{"as many as there have to be", append([]uint64{50}, many[:19]...), 200, true},
	} {
		var counts [slots]uint64
		copy(counts[:], test.counts)
		w := o.weigh(&counts)
		if math.Abs(w.total-test.total) > 1e-6 || w.isMany != test.isMany || w.slots != len(test.counts) {
			t.Errorf("%s: %v of %d, many: %v; want %v", test.name, w.total, w.slots, w.isMany, test.total)
		}
	}
}

// TestNoSourceHasMoreThanItsShare of any window that enough sources feed.
func TestNoSourceHasMoreThanItsShare(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		o := Default()
		o.SourceShare = []float64{0.02, 0.05, 0.1, 0.5, 1}[r.IntN(5)]
		var counts [slots]uint64
		for _, slot := range r.Perm(slots)[:1+r.IntN(slots)] {
			counts[slot] = uint64(math.Exp(r.Float64() * 20))
		}
		w := o.weigh(&counts)
		sum := 0.0
		for slot, weight := range w.of {
			sum += weight
			if weight > float64(counts[slot]) || weight <= 0 && counts[slot] > 0 {
				t.Fatalf("slot %d: %v of %d calls", slot, weight, counts[slot])
			}
			if w.isMany && weight > o.SourceShare*w.total*(1+1e-6) {
				t.Fatalf("share %v: slot %d has %v of %v", o.SourceShare, slot, weight, w.total)
			}
		}
		if math.Abs(sum-w.total) > 1e-6*sum || w.total <= 0 {
			t.Fatalf("total %v, sum %v", w.total, sum)
		}
	}
}

// TestCutTails: one slot cannot set the 99th percentile; where all are alike it stays.
func TestCutTails(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, hostile := range []bool{false, true} {
		var s sample
		for i := range sampleCalls {
			x := float32(r.ExpFloat64())
			if i%25 == 0 && hostile {
				x = 1000
			}
			s.add(uint8(i%25), &[Quantities]float32{x}, r)
		}
		o := Default()
		w := o.weigh(&s.counts)
		values := s.weighAll(Size, &w)
		before, after := sketch.New(), sketch.New()
		for _, v := range values {
			before.Add(v.value, v.weight)
		}
		cutTails(values)
		for _, v := range values {
			after.Add(v.value, v.weight)
		}
		b, a := quantiles(before, 1), quantiles(after, 1)
		if hostile && (b.P99 < 900 || a.P99 > 9) {
			t.Errorf("a hostile slot: %v, before %v", a, b)
		}
		if !hostile && math.Abs(a.P99/b.P99-1) > 0.1 {
			t.Errorf("all alike: %v, before %v", a, b)
		}
		if math.Abs(a.P50/b.P50-1) > 0.02 {
			t.Errorf("the median moved from %v to %v", b, a)
		}
	}
}
