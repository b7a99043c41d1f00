package simulated

import (
	"fmt"
	"time"

	"fivetuple/examples/evaluate/outcome"
)

// Scenario is ordinary traffic.
type Scenario struct {
	Name string
	What string
	// Time is how long it lasts.
	Time time.Duration
	play func(*world)
}

// Benign lists the scenarios.
func Benign() []Scenario {
	return []Scenario{peak(), deploy(), mobileClients(), sharedAddress(), longPolling(), uploads(), healthChecks(), batch()}
}

// Run plays a scenario to its end.
func (s *Scenario) Run(settings Settings, seed uint64) (outcome.Benign, error) {
	result := outcome.Benign{Name: s.Name, What: s.What, Where: outcome.Simulated, Seconds: s.Time.Seconds(), Fixed: map[string]int{}}
	w, err := newWorld(settings, seed, &result)
	if err != nil {
		return result, err
	}
	s.play(w)
	w.run(s.Time)
	w.cor.Flush()
	result.Sources, result.Calls, result.Refused = w.hosts, w.calls, w.guard.refused
	for _, a := range w.fixed.Alarms() {
		result.Fixed[a.Limit.String()]++
	}
	if w.err != nil {
		return result, fmt.Errorf("%s: %w", s.Name, w.err)
	}
	return result, nil
}

// people lets users come, each from an address of their own, and stay for a time.
func (w *world) people(n int, r road, think, stay time.Duration) {
	for range n {
		w.person(w.newHost(r), think, stay)
	}
}

func (w *world) person(h *host, think, stay time.Duration) {
	u := &user{host: h, api: plainAPI(), think: think, calls: 5, most: 6, until: w.now + uint64(stay)}
	u.begin()
}
