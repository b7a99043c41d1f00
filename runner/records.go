package main

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"fivetuple/bpf"
	"fivetuple/correlator"
	"fivetuple/runner/metrics"
)

const (
	// recordsEvery is how often the runner checks whether records can be read.
	recordsEvery = 500 * time.Millisecond
	// recordsSettle is how long they have to be unavailable before that is logged: an agent restarts within a second or two.
	recordsSettle = 3 * time.Second

	// reasonBlind is the one reason for which calls have no records although they can be read.
	reasonBlind = "blind"
)

// readinessOf returns whether the kernel's records can be read and, if not, why. The interfaces are those of the settings: an agent that
// watches the loopback alone is blind, unless the settings name nothing else.
func readinessOf(s bpf.ReaderState, interfaces []string) metrics.Readiness {
	r := metrics.Readiness{Tables: s.Meta.Layout != 0}
	if r.Tables {
		age := max(s.Age, 0).Seconds()
		r.HeartbeatAge, r.Interfaces = &age, &s.Meta.Interfaces
	}
	onlyLoopback := !slices.ContainsFunc(interfaces, func(name string) bool { return name != "lo" })
	switch {
	case s.Err != nil:
		r.Reason, r.Error = string(correlator.ReasonOf(s.Err)), s.Err.Error()
	case s.Meta.Interfaces == 0 || s.Meta.Blind() && !onlyLoopback:
		r.Reason, r.Error = reasonBlind, "the agent watches no interface but the loopback: is it in the gateway's network namespace?"
	default:
		r.Ready = true
	}
	return r
}

// records follows whether the kernel's records can be read, and logs changes: a line when they have been unavailable for longer than a
// restart of the agent takes, or for another reason than before, and a line when they are available again.
type records struct {
	state func() metrics.Readiness
	log   zerolog.Logger

	// Used by run only.
	logged  string    // reason; notLogged: nothing yet
	differs time.Time // since when it is another one; zero: it is not

	mu   sync.Mutex
	last *metrics.Unready
}

// notLogged is no reason.
const notLogged = "?"

func newRecords(state func() metrics.Readiness, log zerolog.Logger) *records {
	return &records{state: state, log: log, logged: notLogged}
}

// run checks until the context ends.
func (r *records) run(ctx context.Context) {
	tick := time.NewTicker(recordsEvery)
	defer tick.Stop()
	for {
		r.look(time.Now())
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (r *records) look(now time.Time) {
	s := r.state()
	if !s.Ready {
		r.mu.Lock()
		r.last = &metrics.Unready{Reason: s.Reason, Error: s.Error, At: now.UTC()}
		r.mu.Unlock()
	}
	switch {
	case s.Reason == r.logged:
		r.differs = time.Time{}
		return
	case r.differs.IsZero():
		r.differs = now
	}
	if !s.Ready && now.Sub(r.differs) < recordsSettle {
		return
	}
	switch {
	case s.Ready:
		r.log.Info().Uint32("interfaces", *s.Interfaces).Msg("records are available")
	case s.Reason == reasonBlind: // calls over the loopback have their figures all the same
		r.log.Warn().Str("reason", s.Reason).Str("error", s.Error).Msg("records are unavailable: calls from other hosts go on without figures")
	default:
		r.log.Warn().Str("reason", s.Reason).Str("error", s.Error).Msg("records are unavailable: calls go on without figures")
	}
	r.logged, r.differs = s.Reason, time.Time{}
}

// readiness returns what is known now, with the last error.
func (r *records) readiness() metrics.Readiness {
	s := r.state()
	r.mu.Lock()
	defer r.mu.Unlock()
	s.LastError = r.last
	return s
}

// status returns the same for `fivetuple health`, which asks on the runner's socket.
func (r *records) status() []byte {
	text, err := json.Marshal(r.readiness())
	if err != nil { // it has nothing that could fail
		return nil
	}
	return text
}
