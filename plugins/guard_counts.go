package plugins

import (
	"sync"
	"sync/atomic"
)

// GuardAnswer is what packet-guard makes of a call.
type GuardAnswer uint8

// The answers.
const (
	GuardPass    GuardAnswer = iota // its score is not high enough, or there is none
	GuardExempt                     // it would be refused, but for its address
	GuardObserve                    // it would be refused, but for the mode
	GuardRefuse
	GuardAnswers // how many there are
)

// String returns the answer as metrics have it.
func (a GuardAnswer) String() string {
	return [...]string{GuardPass: "passed", GuardExempt: "exempt", GuardObserve: "observed", GuardRefuse: "refused"}[a]
}

// maxGuardRoutes is how many routes' answers are told apart; those of routes that come later are counted under
// GuardOtherRoutes.
const maxGuardRoutes = 1000

// GuardOtherRoutes stands for all routes beyond the bound.
const GuardOtherRoutes = "_other"

// guardCounts are the answers of one route.
type guardCounts [GuardAnswers]atomic.Uint64

// guardRoutes are those of all routes.
type guardRoutes struct {
	mu sync.Mutex
	of map[string]*guardCounts
}

// get returns a route's counts, which stay for the process' life.
func (g *guardRoutes) get(route string) *guardCounts {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.of == nil {
		g.of = map[string]*guardCounts{}
	}
	if g.of[route] == nil && len(g.of) >= maxGuardRoutes {
		route = GuardOtherRoutes
	}
	if g.of[route] == nil {
		g.of[route] = new(guardCounts)
	}
	return g.of[route]
}

// Guard calls a function for each route that packet-guard ran on, with how many calls it gave each answer.
func (c *Counters) Guard(each func(route string, answers [GuardAnswers]uint64)) {
	c.guard.mu.Lock()
	defer c.guard.mu.Unlock()
	for route, counts := range c.guard.of {
		var answers [GuardAnswers]uint64
		for i := range counts {
			answers[i] = counts[i].Load()
		}
		each(route, answers)
	}
}
