package baseline

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestPackedSketchesMerge: quantiles of merged, packed sketches are those of all values, within the accuracy.
func TestPackedSketchesMerge(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	merged := newSketch()
	var all []float64
	for window := range 5 {
		s := newSketch()
		for range 2000 {
			v := math.Exp(r.NormFloat64()*2+float64(window)) * 1000
			if r.IntN(20) == 0 {
				v = 0
			}
			s.add(v, 1)
			all = append(all, v)
		}
		p := s.pack()
		if len(p) > maxRate {
			t.Errorf("%d bytes", len(p))
		}
		if err := merged.merge(p); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(all)
	got := merged.quantiles(1)
	for q, v := range map[float64]float64{0.5: got.P50, 0.99: got.P99} {
		low, high := all[int(q*float64(len(all)))-3], all[int(q*float64(len(all)))+3] // counts are rounded
		if v < low*(1-accuracy) || v > high*(1+accuracy) {
			t.Errorf("quantile %v is %v, want %v to %v", q, v, low, high)
		}
	}
	if n := merged.GetCount(); math.Abs(n-10_000) > 20 {
		t.Errorf("a weight of %v", n)
	}
}

// TestASketchIsBounded: whatever it is fed, it has at most maxBins bins, and all its values have a place in its packed form.
func TestASketchIsBounded(t *testing.T) {
	s := newSketch()
	for v := 1e-9; v < 1e12; v *= 1.001 {
		s.add(v, 1)
	}
	bins := 0
	s.GetPositiveValueStore().ForEach(func(int, float64) bool { bins++; return false })
	p := s.pack()
	back := newSketch()
	if err := back.merge(p); err != nil || len(p) > maxRate || bins > maxBins {
		t.Errorf("%d bytes, %d bins: %v", len(p), bins, err)
	}
	if low, high := s.Index(minValue), s.Index(maxValue); low <= lowestBin || high >= lowestBin+maxBins {
		t.Errorf("bins %d to %d", low, high)
	}
	if low, err := back.GetMaxValue(); err != nil || low < maxValue*(1-accuracy) {
		t.Errorf("the largest is %v, %v", low, err)
	}
}

// FuzzPacked: whatever is read, a sketch stays bounded and in its range, and what is taken can be packed again.
func FuzzPacked(f *testing.F) {
	s := newSketch()
	for v := range 100 {
		s.add(float64(v*v), 1)
	}
	f.Add([]byte(s.pack()))
	f.Add([]byte{})
	f.Add(make([]byte, 9))
	f.Fuzz(func(t *testing.T, p []byte) {
		s := newSketch()
		if err := s.merge(p); err != nil || s.GetCount() == 0 {
			return
		}
		if r := s.quantiles(0); !(r.P50 >= 0 && r.P50 <= r.P99 && r.P99 < 3*maxValue) {
			t.Fatalf("quantiles %v", r)
		}
		packed := s.pack()
		if err := newSketch().merge(packed); err != nil || len(packed) > maxRate {
			t.Fatalf("%d bytes: %v", len(packed), err)
		}
	})
}
