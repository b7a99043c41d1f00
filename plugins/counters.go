package plugins

import (
	"sync/atomic"

	"fivetuple/correlator"
)

// Counters are what the plugins count, since the start. What packet-guard made of its calls is told by Guard. Of the calls of
// packet-insight, each is counted once among those
// with a tuple of some way, those without one, and those with a wrong configuration; and once more by its match. A call of
// a route that is switched off, or refused for its configuration, never comes to a plugin.
type Counters struct {
	// Calls by the way that their tuple came.
	TupleHeader, TupleMapVariable, TupleVariables atomic.Uint64
	// TupleNone counts calls without a usable tuple.
	TupleNone atomic.Uint64
	// Values that are no tuple, by the way that they came; a call may have one of each, and a tuple all the same.
	WrongHeader, WrongMapVariable, WrongVariables atomic.Uint64
	// VariableErrors counts questions for variables that the gateway did not answer.
	VariableErrors atomic.Uint64
	// ConfErrors counts wrong configurations of either plugin, each time that one is prepared; ConfErrorCalls the calls under one.
	ConfErrors, ConfErrorCalls atomic.Uint64

	guard   guardRoutes
	matches [correlator.MatchExchange + 1]atomic.Uint64
}

// Matches returns the number of calls with a match.
func (c *Counters) Matches(m correlator.Match) uint64 { return c.matches[m].Load() }

// tuple counts where a call's tuple came from.
func (c *Counters) tuple(from correlator.TupleSource) {
	switch from.Way {
	case correlator.TupleHeader:
		c.TupleHeader.Add(1)
	case correlator.TupleMapVariable:
		c.TupleMapVariable.Add(1)
	case correlator.TupleVariables:
		c.TupleVariables.Add(1)
	default:
		c.TupleNone.Add(1)
	}
	if from.WrongHeader {
		c.WrongHeader.Add(1)
	}
	if from.WrongMapVariable {
		c.WrongMapVariable.Add(1)
	}
	if from.WrongVariables {
		c.WrongVariables.Add(1)
	}
}
