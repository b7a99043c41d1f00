package baseline

import (
	"fmt"
	"math"
	"testing"
)

// realistic returns the values that gateways publish of a busy route: 30 sources, and latencies that differ by a factor of some ten.
func realistic(tb testing.TB, gateways int) (values []Peer) {
	tb.Helper()
	for i := range gateways {
		w := newWorld(tb, testOptions())
		w.b.Share(0.2)
		for range i {
			w.random.Uint64()
		}
		w.windows(2, func() {
			for source := range 30 {
				v := typical(w.honest())
				v[Size] = 600 + 400*w.random.Float64()
				v[Receive] = 50 * w.honest()
				v[Wait] = 300 * w.honest()
				v[RTT] = 20_000 * w.honest()
				w.b.Learn(w.now, testKey(), &Observation{Source: address(source), Values: v})
			}
		})
		p := w.b.Published(math.MaxInt)
		values = append(values, Peer{Gateway: gatewayName(i), Value: p[len(p)-1].Value})
	}
	return values
}

// BenchmarkMerge merges what gateways say of a period with eleven other periods, and what this gateway has learned itself.
func BenchmarkMerge(b *testing.B) {
	for _, gateways := range []int{1, 8, MaxPeers} {
		b.Run(fmt.Sprint("peers=", gateways), func(b *testing.B) {
			peers := realistic(b, gateways)
			w := newWorld(b, testOptions())
			w.b.Share(0.2)
			w.windows(12, func() { w.crowd(30) })
			period := w.b.o.period(w.b.wall(w.now))
			for back := range int64(11) {
				w.b.Merge(w.now, testKey(), period-back, peers)
			}
			bytes := 0
			for _, p := range peers {
				bytes += len(p.Value)
			}
			b.ReportAllocs()
			for b.Loop() {
				if s := w.b.Merge(w.now, testKey(), period, peers); s != (Skipped{}) {
					b.Fatal(s)
				}
			}
			b.ReportMetric(float64(bytes/gateways), "B/value")
		})
	}
}

// BenchmarkWants asks for what is due of a thousand keys, none of which is.
func BenchmarkWants(b *testing.B) {
	w, keys := busy(b)
	w.b.Share(0.2)
	w.play(keys)
	w.second()
	for range len(keys)/wantedAtOnce + 1 {
		w.b.Wants(w.now)
	}
	b.ReportAllocs()
	for b.Loop() {
		if wants := w.b.Wants(w.now); wants != nil {
			b.Fatal(len(wants))
		}
	}
}
