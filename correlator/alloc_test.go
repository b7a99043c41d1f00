//go:build !race

package correlator_test

import (
	"testing"

	"fivetuple/correlator"
)

// TestMatchAllocatesNothing, once its connection is remembered: the record comes from a pool, all else is values. Not
// under the race detector, which empties pools at random.
func TestMatchAllocatesNothing(t *testing.T) {
	for name, with := range map[string]*correlator.Judge{"without a judge": nil, "judged": fullJudge()} {
		next, last := keepAlive(t, with)
		if n := testing.AllocsPerRun(1000, next); n != 0 {
			t.Errorf("%s: %v allocations a call, want none", name, n)
		}
		if last.Match != correlator.MatchExchange || last.Judged != (with != nil) {
			t.Errorf("%s: %s", name, describe(*last))
		}
	}
}

// TestTheHeaderAllocatesNothing: where the gateway gives the tuple by its header, finding it is free.
func TestTheHeaderAllocatesNothing(t *testing.T) {
	g := &headerGateway{tupleText}
	var from correlator.TupleSource
	if n := testing.AllocsPerRun(1000, func() { _, from, _ = correlator.FindTuple(g, correlator.TupleHeader) }); n != 0 {
		t.Errorf("%v allocations a call, want none", n)
	}
	if from.Way != correlator.TupleHeader {
		t.Error(from)
	}
}

// headerGateway gives the tuple by its header.
type headerGateway struct{ text string }

func (g *headerGateway) Header(string) string { return g.text }
func (*headerGateway) Var(string) string      { return "" }
func (*headerGateway) Vars([]string) []string { return nil }
