package metrics

import (
	"net/http"
	"time"

	"fivetuple/runner/printable"
)

// Readiness is whether the kernel's records can be read, as /readyz and `fivetuple health` print it.
type Readiness struct {
	Ready bool `json:"ready"`
	// Reason is why not: pins, layout or stale, as calls have it in x-packet-match; table: any other failure; blind: the agent watches
	// no interface but the loopback, so that no call has a record.
	Reason string `json:"reason,omitempty"`
	Error  string `json:"error,omitempty"` // the same as a sentence
	// Tables: those of this program's layout are there and can be read. Only then the agent's heartbeat and interfaces are known.
	Tables       bool     `json:"tables"`
	HeartbeatAge *float64 `json:"heartbeat_age_seconds,omitempty"`
	Interfaces   *uint32  `json:"interfaces,omitempty"` // that the agent watches, the loopback included
	LastError    *Unready `json:"last_error,omitempty"` // the last time that a runner was not ready, this one included
}

// Unready is why records could not be read at some time.
type Unready struct {
	Reason string    `json:"reason"`
	Error  string    `json:"error"`
	At     time.Time `json:"at"` // when that was seen last
}

// ReadyHandler serves readiness: status 200, or 503 when records cannot be read.
func ReadyHandler(readiness func() Readiness) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		r := readiness()
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		if !r.Ready {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = printable.NewEncoder(w).Encode(r) // who does not read it has gone
	})
}
