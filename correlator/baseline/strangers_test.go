package baseline

import (
	"testing"
)

// TestStrangers: a gateway whose medians are far from this one's on most keys is of another fleet.
func TestStrangers(t *testing.T) {
	g := newGateways(t, testOptions(), 4)
	keys := []Key{{"a", "GET"}, {"b", "GET"}, {"c", "GET"}, {"d", "POST"}}
	g.windows(4, func(i int, w *world) {
		for j, k := range keys {
			x := w.honest()
			if i == 3 && j < 3 || i == 2 && j < 2 {
				x *= 8
			}
			w.b.Learn(w.now, k, &Observation{Source: address(1), Values: typical(x)})
		}
	})
	got := g.worlds[0].b.Strangers()
	if len(got) != 1 || got[0] != (Stranger{Gateway: gatewayName(3), Keys: 4, Apart: 3}) {
		t.Errorf("got %+v", got)
	}
	if got := g.worlds[3].b.Strangers(); len(got) != 2 { // not gateway 2, which differs as it does
		t.Errorf("the stranger says %+v", got)
	}
}
