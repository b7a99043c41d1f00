// Package watch judges remote addresses and listeners by what the kernel's tables show of them, once a second: also those
// whose requests never complete, and which therefore no gateway's plugin ever sees. It is pure: tables and a time in,
// changes of the table of verdicts out.
//
// Start reading at Tick: it reads a slice of each table (kernel.go, handshakes.go, connections.go), adds it to the windows of
// addresses (sources.go) and listeners (listeners.go), has package signal judge those (judge.go), and keeps what was found
// for a time (flags.go).
package watch

import (
	"errors"

	"fivetuple/correlator/flow"
	"fivetuple/correlator/signal"
)

// Watcher judges. It belongs to one goroutine.
type Watcher struct {
	options     Options
	now         uint64
	last        uint64 // the tick before; 0: none
	begun       uint64 // the first tick
	sources     sources
	waiting     crowd // whose handshakes do
	active      crowd // whose connections are
	listeners   listeners
	kernel      turn // of the table of sources
	handshakes  turn // of the half-open table
	connections turn // of the flow table
	paces       paces
	usual       struct{ short, paced, stray usual }
	counted     counted
	flags       flags
	held        map[flow.VerdictKey]bool // by others than the watcher; true: they pardon
	report      Report
}

// Change is a verdict that is to be written, or removed.
type Change struct {
	Key     flow.VerdictKey
	Verdict flow.Verdict
	Delete  bool
}

// Event is a flag that began or ended.
type Event struct {
	Key     flow.VerdictKey
	Verdict signal.Verdict
}

// Report is what a tick found. Its slices are valid until the next tick.
type Report struct {
	Changes      []Change
	Began, Ended []Event
	// Flows, HalfOpen and Sources are the entries that the tick read.
	Flows, HalfOpen, Sources int
	// Watched and Flagged are the addresses with a window, and the verdicts in force, now.
	Watched, Flagged int
	// Crowded is how many windows made room for others, and Refused how many flags found none, since the start.
	Crowded, Refused uint64
}

// New returns a watcher that has seen nothing yet.
func New(o Options) (*Watcher, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	trusted, err := flow.ParsePrefixes("trusted", o.Trusted)
	if err != nil {
		return nil, err
	}
	return &Watcher{
		options:   o,
		sources:   newSources(maxSources, trusted),
		waiting:   newCrowd(),
		active:    newCrowd(),
		listeners: listeners{all: make(map[flow.VerdictKey]*listener)},
		paces:     newPaces(),
		flags:     newFlags(o.Keep),
		held:      make(map[flow.VerdictKey]bool),
	}, nil
}

// Tick looks once. Now is CLOCK_MONOTONIC nanoseconds, or whatever clock the tables have; it is called about once a second,
// and does nothing if no time has passed. An error is one of a table's; what else could be read was judged all the same.
func (w *Watcher) Tick(now uint64, tables Tables) (Report, error) {
	if w.last != 0 && now <= w.last {
		return Report{}, nil
	}
	if w.begun == 0 {
		w.begun = now
	}
	w.now = now
	w.report = Report{Changes: w.report.Changes[:0], Began: w.report.Began[:0], Ended: w.report.Ended[:0]}
	err := errors.Join(
		w.readVerdicts(tables),
		w.readKernel(tables),
		w.readHandshakes(tables),
		w.readConnections(tables),
		w.readCounts(tables),
	)
	w.judgeSources()
	w.judgeListeners()
	w.expire()
	w.endTurns()
	w.last = now
	w.report.Watched, w.report.Crowded = len(w.sources.all), w.sources.crowded
	w.report.Flagged, w.report.Refused = len(w.flags.all), w.flags.refused
	return w.report, err
}

// endTurns ends the turns over tables that are done.
func (w *Watcher) endTurns() {
	if w.connections.done {
		w.endConnections()
		w.active.clear()
	}
	if w.handshakes.done {
		w.listeners.clear()
		w.waiting.clear()
	}
	w.kernel.next(w.now)
	w.handshakes.next(w.now)
	w.connections.next(w.now)
}
