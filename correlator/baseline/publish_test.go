package baseline

import (
	"bytes"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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
		for _, p := range w.b.Published(math.MaxInt) {
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
	if n := take(); n < 4 || n > 8 || len(w.b.Published(math.MaxInt)) > 0 {
		t.Errorf("%d windows were published", n)
	}
	for range 20 {
		w.crowd(2)
	}
	w.b.Close(w.now)                                                         // in the same period, and lighter
	if n := take(); n > 1 || w.b.Counters().Published != uint64(len(seen)) { // the other key's may be its first
		t.Errorf("%d windows were published, %+v", n, w.b.Counters())
	}
	w.windows(2*o.Windows+20, func() { w.crowd(30) })
	if n := len(w.b.Published(math.MaxInt)); n > o.Windows*o.Keys || w.b.Counters().Unpublished < 10 {
		t.Errorf("%d windows waited: %+v", n, w.b.Counters())
	}
}

// TestRepublish: what has got lost is told again, a part at a time, also by a process that has it from its file alone.
func TestRepublish(t *testing.T) {
	w := newWorld(t, testOptions())
	w.b.Share(0.2)
	w.windows(4, func() { w.crowd(30) })
	told := w.b.Published(math.MaxInt)
	if len(told) < 3 || len(w.b.Published(math.MaxInt)) > 0 {
		t.Fatalf("%d windows were told", len(told))
	}
	again := New(w.b.o)
	again.SetWall(time.Duration(w.b.offset.Load()))
	again.Share(0.2)
	if err := again.Load(bytes.NewReader(savedText(t, w.b))); err != nil {
		t.Fatal(err)
	}
	for _, b := range []*Baselines{w.b, again} {
		b.Republish(w.now)
		var got []Published
		for part := b.Published(2); len(part) > 0; part = b.Published(2) {
			got = append(got, part...)
		}
		if d := cmp.Diff(told, got); d != "" {
			t.Errorf("told again (-first +again):\n%s", d)
		}
	}
}
