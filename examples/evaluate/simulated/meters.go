package simulated

import (
	"time"

	"fivetuple/correlator/baseline"
	"fivetuple/examples/evaluate/outcome"
)

// meters are devices that report now and then, each on a connection of its own for each report.
type meters struct {
	hosts []*host
	every time.Duration
	next  func() *call
}

const (
	// honestMeters report, one report each in meterEvery.
	honestMeters, meterEvery = 60, 5 * time.Minute
	day                      = 24 * time.Hour
)

func (w *world) meters(n int, next func() *call) *meters {
	m := &meters{every: meterEvery, next: next}
	for range n {
		h := w.newHost(home())
		h.tls = false
		m.hosts = append(m.hosts, h)
		w.every(m.every, func() {
			h.dial(gatewayPort, func(c *conn) {
				if c != nil {
					c.do(m.next(), c.close)
				}
			})
		})
	}
	return m
}

// report returns a usual one: a few hundred bytes at once.
func (w *world) report() *call {
	return &call{route: "meters", method: "POST", head: 300, body: w.size(900, 0.4, 200, 5000), response: 150, serve: 20 * time.Millisecond}
}

// usual is what is usual for the meters' reports.
func (w *world) usual() *baseline.Usual {
	return w.baselines.Usual(baseline.Key{Route: "meters", Method: "POST"})
}

// learn plays what is learned, and returns the flags beside.
func learn(settings Settings, seed uint64, play func(*world) outcome.Learning) (outcome.Learning, error) {
	var beside outcome.Benign
	w, err := newWorld(settings, seed, &beside)
	if err != nil {
		return outcome.Learning{}, err
	}
	result := play(w)
	result.Details["calls"] = float64(w.calls)
	result.Details["refused"] = float64(w.guard.refused)
	return result, w.err
}
