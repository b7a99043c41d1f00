package sketch

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestPackedSketchesMerge: quantiles of merged, packed sketches are those of all values, within the Accuracy.
func TestPackedSketchesMerge(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	merged := New()
	var all []float64
	for window := range 5 {
		s := New()
		for range 2000 {
			v := math.Exp(r.NormFloat64()*2+float64(window)) * 1000
			if r.IntN(20) == 0 {
				v = 0
			}
			s.Add(v, 1)
			all = append(all, v)
		}
		p := s.Pack()
		if len(p) > MaxPacked {
			t.Errorf("%d bytes", len(p))
		}
		if err := merged.Merge(p); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(all)
	got, _ := merged.Quantiles(0.5, 0.99)
	for q, v := range map[float64]float64{0.5: got[0], 0.99: got[1]} {
		low, high := all[int(q*float64(len(all)))-3], all[int(q*float64(len(all)))+3] // counts are rounded
		if v < low*(1-Accuracy) || v > high*(1+Accuracy) {
			t.Errorf("quantile %v is %v, want %v to %v", q, v, low, high)
		}
	}
	if n := merged.GetCount(); math.Abs(n-10_000) > 20 {
		t.Errorf("a weight of %v", n)
	}
}

// TestASketchIsBounded: whatever it is fed, it has at most MaxBins bins, and all its values have a place in its packed form.
func TestASketchIsBounded(t *testing.T) {
	s := New()
	for v := 1e-9; v < 1e12; v *= 1.001 {
		s.Add(v, 1)
	}
	bins := 0
	s.GetPositiveValueStore().ForEach(func(int, float64) bool { bins++; return false })
	p := s.Pack()
	back := New()
	if err := back.Merge(p); err != nil || len(p) > MaxPacked || bins > MaxBins {
		t.Errorf("%d bytes, %d bins: %v", len(p), bins, err)
	}
	if low, high := s.Index(MinValue), s.Index(MaxValue); low <= lowestBin || high >= lowestBin+MaxBins {
		t.Errorf("bins %d to %d", low, high)
	}
	if low, err := back.GetMaxValue(); err != nil || low < MaxValue*(1-Accuracy) {
		t.Errorf("the largest is %v, %v", low, err)
	}
}

// FuzzPacked: whatever is read, a sketch stays bounded and in its range, and what is taken can be packed again.
func FuzzPacked(f *testing.F) {
	s := New()
	for v := range 100 {
		s.Add(float64(v*v), 1)
	}
	f.Add([]byte(s.Pack()))
	f.Add([]byte{})
	f.Add(make([]byte, 9))
	f.Fuzz(func(t *testing.T, p []byte) {
		s := New()
		if err := s.Merge(p); err != nil || s.GetCount() == 0 {
			return
		}
		if v, ok := s.Quantiles(0.5, 0.99); !ok || !(v[0] >= 0 && v[0] <= v[1] && v[1] < 3*MaxValue) {
			t.Fatalf("quantiles %v", v)
		}
		packed := s.Pack()
		if err := New().Merge(packed); err != nil || len(packed) > MaxPacked {
			t.Fatalf("%d bytes: %v", len(packed), err)
		}
	})
}
