//go:build !race

package correlator_test

import (
	"testing"

	"fivetuple/correlator"
)

// TestMatchAllocatesNothing, once its connection is remembered: the record comes from a pool, all else is values. Not
// under the race detector, which empties pools at random.
func TestMatchAllocatesNothing(t *testing.T) {
	next, last := keepAlive(t)
	if n := testing.AllocsPerRun(1000, next); n != 0 {
		t.Errorf("%v allocations a call, want none", n)
	}
	if last.Match != correlator.MatchExchange {
		t.Error(describe(*last))
	}
}
