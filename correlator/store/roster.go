package store

import (
	"sync"
	"time"
)

const (
	// MaxGateways is how many gateways are known at most.
	MaxGateways = 4096
	// heardFor is how long a gateway that was heard counts as there.
	heardFor = time.Hour
)

// roster remembers which gateways were heard, or had said who they are: what only they may do. One more than MaxGateways is not: the list
// of gateways has it.
type roster struct {
	mu    sync.Mutex
	heard map[string]time.Time
}

func (r *roster) hear(gateway string, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.heard == nil {
		r.heard = map[string]time.Time{}
	}
	if _, ok := r.heard[gateway]; ok || len(r.heard) < MaxGateways {
		r.heard[gateway] = now
	}
}

// each calls f with every gateway that was heard within the last hour, and forgets the others.
func (r *roster) each(now time.Time, f func(gateway string, at time.Time)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for gateway, at := range r.heard {
		if now.Sub(at) > heardFor {
			delete(r.heard, gateway)
			continue
		}
		f(gateway, at)
	}
}
