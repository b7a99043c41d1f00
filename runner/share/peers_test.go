package share

import (
	"fmt"
	"slices"
	"testing"

	"fivetuple/correlator/baseline"
)

func names(prefix string, n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprint(prefix, i))
	}
	return all
}

// TestNamesThatAreNotProvenTakeNoPlace of one that is, but only what is left; of too many each key has others, and always the same.
func TestNamesThatAreNotProvenTakeNoPlace(t *testing.T) {
	key := func(i int) baseline.Key { return baseline.Key{Route: fmt.Sprint("route-", i), Method: "GET"} }
	p := peers{proven: names("gw-", 20), others: names("false-", 4000)}
	drawn := map[string]bool{}
	for i := range 100 {
		some := p.of(key(i))
		if len(some) != baseline.MaxPeers || !slices.Equal(some[:20], p.proven) || !slices.Equal(some, p.of(key(i))) {
			t.Fatalf("%d: %v", i, some)
		}
		for _, other := range some[20:] {
			drawn[other] = true
		}
	}
	if len(drawn) < 2000 {
		t.Errorf("only %d of the others are ever asked", len(drawn))
	}
	p.proven = names("gw-", baseline.MaxPeers+1)
	for i := range 100 {
		some := p.of(key(i))
		if slices.Sort(some); len(slices.Compact(some)) != baseline.MaxPeers || slices.ContainsFunc(some, func(g string) bool { return !slices.Contains(p.proven, g) }) {
			t.Fatalf("%d: %v", i, some)
		}
	}
	p = peers{proven: names("gw-", 3), others: names("ended-", 2)}
	if some := p.of(key(0)); len(some) != 5 {
		t.Errorf("%v", some)
	}
}
