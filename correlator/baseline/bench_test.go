package baseline

import (
	"fmt"
	"testing"
	"time"
)

// busy returns baselines with a thousand keys of 30 sources, and the keys.
func busy(b *testing.B) (*world, []Key) {
	b.Helper()
	o := testOptions()
	o.Keys = 1000
	w := newWorld(b, o)
	var keys []Key
	for i := range o.Keys {
		keys = append(keys, Key{Route: fmt.Sprint("route-", i), Method: "GET"})
	}
	return w, keys
}

func (w *world) play(keys []Key) {
	for source := range 30 {
		for _, k := range keys {
			w.b.Learn(w.now, k, &Observation{Source: address(source), Values: typical(w.honest())})
		}
	}
}

func BenchmarkUsual(b *testing.B) {
	w, keys := busy(b)
	w.play(keys)
	w.second()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if w.b.Usual(keys[i%len(keys)]) == nil {
			b.Fatal("nil")
		}
	}
}

func BenchmarkUsualParallel(b *testing.B) {
	w, keys := busy(b)
	w.play(keys)
	w.second()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			w.b.Usual(keys[i%len(keys)])
		}
	})
}

// BenchmarkLearn learns in samples that are full, of few and of many sources.
func BenchmarkLearn(b *testing.B) {
	for _, sources := range []int{1, 30, 100_000} {
		b.Run(fmt.Sprint("sources=", sources), func(b *testing.B) {
			w, keys := busy(b)
			keys = keys[:100]
			values := typical(1)
			step := 0
			learn := func() {
				step++
				w.b.Learn(w.now, keys[step%len(keys)], &Observation{Source: address(step / 100 % sources), Values: values})
			}
			for range 100 * 1000 {
				learn()
			}
			b.ReportAllocs()
			for b.Loop() {
				learn()
			}
		})
	}
}

// BenchmarkRotate counts a second of a thousand keys, whose windows go on.
func BenchmarkRotate(b *testing.B) {
	w, keys := busy(b)
	w.play(keys)
	w.second()
	w.b.SetWall(0)
	w.b.o.Window = 24 * time.Hour
	b.ReportAllocs()
	for b.Loop() {
		w.second()
	}
}

// BenchmarkClose closes a window of 512 calls and 30 sources, with eleven windows before it.
func BenchmarkClose(b *testing.B) {
	w, _ := busy(b)
	w.windows(14, func() { w.crowd(30) })
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		for range 20 {
			w.crowd(30)
		}
		w.second()
		b.StartTimer()
		w.b.Close(w.now)
	}
}
