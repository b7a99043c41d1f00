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

// maxGuardRoutes is how many routes' answers are told apart. One more takes the place of the route with the fewest calls, whose answers
// are then counted under GuardOtherRoutes.
const maxGuardRoutes = 1000

// GuardOtherRoutes stands for all routes beyond the bound.
const GuardOtherRoutes = "_other"

// guardCounts are the answers of one route.
type guardCounts struct {
	answers [GuardAnswers]atomic.Uint64
	evicted atomic.Bool // another route has its place
}

// calls returns how many answers there are.
func (g *guardCounts) calls() (n uint64) {
	for i := range g.answers {
		n += g.answers[i].Load()
	}
	return n
}

// guardRoutes are those of all routes.
type guardRoutes struct {
	mu sync.Mutex
	of map[string]*guardCounts
}

// get returns a route's counts, which hold until they are evicted.
func (g *guardRoutes) get(route string) *guardCounts {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.of == nil {
		g.of = map[string]*guardCounts{}
	}
	if g.of[route] == nil && len(g.of) >= maxGuardRoutes {
		g.evict()
	}
	if g.of[route] == nil {
		g.of[route] = new(guardCounts)
	}
	return g.of[route]
}

// evict moves the answers of the route with the fewest calls to GuardOtherRoutes. An answer that is counted meanwhile may be lost.
func (g *guardRoutes) evict() {
	if g.of[GuardOtherRoutes] == nil {
		g.of[GuardOtherRoutes] = new(guardCounts)
	}
	var fewest string
	var victim *guardCounts
	for route, counts := range g.of {
		if route != GuardOtherRoutes && (victim == nil || counts.calls() < victim.calls()) {
			fewest, victim = route, counts
		}
	}
	victim.evicted.Store(true)
	delete(g.of, fewest)
	for i := range victim.answers {
		g.of[GuardOtherRoutes].answers[i].Add(victim.answers[i].Load())
	}
}

// Guard calls a function for each route that packet-guard ran on, with how many calls it gave each answer.
func (c *Counters) Guard(each func(route string, answers [GuardAnswers]uint64)) {
	c.guard.mu.Lock()
	defer c.guard.mu.Unlock()
	for route, counts := range c.guard.of {
		var answers [GuardAnswers]uint64
		for i := range counts.answers {
			answers[i] = counts.answers[i].Load()
		}
		each(route, answers)
	}
}
