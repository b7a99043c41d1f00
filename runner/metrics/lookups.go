package metrics

import (
	"errors"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"fivetuple/correlator/flow"
)

// Lookups is a table that counts its look-ups by their results.
type Lookups struct {
	flow.Table
	counts [len(lookupResults{})]atomic.Uint64
}

type lookupResults [7]string

// The results, in the order of lookupNames.
const (
	lookupFound = iota
	lookupNotFound
	lookupNoTable
	lookupLayout
	lookupStale
	lookupBusy
	lookupFailed
)

func lookupNames() lookupResults {
	return lookupResults{"found", "not-found", "no-table", "layout", "stale", "busy", "failed"}
}

// NewLookups registers the look-ups of a table, and returns the table that counts them.
func NewLookups(registry prometheus.Registerer, table flow.Table) *Lookups {
	l := &Lookups{Table: table}
	for i, name := range lookupNames() {
		registry.MustRegister(counterFunc("lookups_total", "Look-ups of a connection's record, by their result.",
			prometheus.Labels{"result": name}, l.counts[i].Load))
	}
	return l
}

// Lookup implements flow.Table.
func (l *Lookups) Lookup(k flow.Key, r *flow.Record) error {
	err := l.Table.Lookup(k, r)
	l.counts[lookupResult(err)].Add(1)
	return err
}

func lookupResult(err error) int {
	switch {
	case err == nil:
		return lookupFound
	case errors.Is(err, flow.ErrNotFound):
		return lookupNotFound
	case errors.Is(err, flow.ErrLayout):
		return lookupLayout
	case errors.Is(err, flow.ErrNoTable):
		return lookupNoTable
	case errors.Is(err, flow.ErrStale):
		return lookupStale
	case errors.Is(err, flow.ErrBusy):
		return lookupBusy
	}
	return lookupFailed
}

var _ flow.Table = (*Lookups)(nil)
