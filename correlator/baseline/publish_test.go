package baseline

import (
	"fmt"
	"testing"
)

// TestWhatIsPublished: own closed windows, once; of a period the heaviest; nothing of the keys beyond the bound.
func TestWhatIsPublished(t *testing.T) {
	o := testOptions()
	o.Keys = 2
	w := newWorld(t, o)
	w.b.Share(0.2)
	w.windows(3, func() {
		w.crowd(30)
		for i := range 3 {
			w.b.Learn(w.now, Key{fmt.Sprint(i), "GET"}, &Observation{Source: address(1), Values: typical(1)})
		}
	})
	w.second()
	type pair struct {
		Key
		period int64
	}
	seen := map[pair]float64{}
	take := func() (n int) {
		for _, p := range w.b.Published() {
			h, err := decode(p.Value, o.Window)
			if err != nil || h.Weight <= seen[pair{p.Key, p.Period}] || p.Key.Route == "" {
				t.Errorf("%+v, %v, %v before", p.Key, err, seen[pair{p.Key, p.Period}])
				continue
			}
			seen[pair{p.Key, p.Period}] = h.Weight
			n++
		}
		return n
	}
	if n := take(); n < 4 || n > 8 || len(w.b.Published()) > 0 {
		t.Errorf("%d windows were published", n)
	}
	for range 20 {
		w.crowd(2)
	}
	w.b.Close(w.now)                                                         // in the same period, and lighter
	if n := take(); n > 1 || w.b.Counters().Published != uint64(len(seen)) { // the other key's may be its first
		t.Errorf("%d windows were published, %+v", n, w.b.Counters())
	}
	w.windows(20, func() { w.crowd(30) })
	if n := len(w.b.Published()); n > 2*o.Keys || w.b.Counters().Unpublished < 10 {
		t.Errorf("%d windows waited: %+v", n, w.b.Counters())
	}
}
