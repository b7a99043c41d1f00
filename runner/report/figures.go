package report

import (
	"strings"
	"sync"
	"time"

	"fivetuple/correlator"
)

// Other is the route that stands for all beyond the bound.
const Other = "_other"

// closedByCall is how many routes' figures in a bucket that has ended a call packs, at some 30 us each.
const closedByCall = 1

// maxRoute is the longest name of a route, in bytes; a longer one is cut.
const maxRoute = 128

// Options say what figures are kept.
type Options struct {
	// Routes is how many are told apart, of those that had a call in the last 24 hours; calls of others are Other's.
	Routes int
	// Gateway is the name of this gateway in reports.
	Gateway string
	// Now is the wall clock.
	Now func() time.Time
}

// Figures are those of finished calls per route, for a sliding day. It is the consumer of a queue; reports can be made at any time.
type Figures struct {
	options Options

	mu         sync.Mutex
	began      time.Time // when the first call may have come
	fine, hour ring
	known      map[string]struct{} // routes with a bucket; at most Options.Routes
	revision   uint64
	beyond     uint64
}

// New returns figures without a call.
func New(o Options) *Figures {
	return &Figures{
		options: o, began: o.Now(), known: make(map[string]struct{}), revision: Loaded,
		fine: ring{step: StepFine, keep: KeepFine}, hour: ring{step: StepHour, keep: KeepHour},
	}
}

// Take implements calls.Consumer.
func (f *Figures) Take(r *correlator.CallRecord) {
	unix := f.options.Now().Unix()
	f.mu.Lock()
	defer f.mu.Unlock()
	fine, hour := f.advance(unix)
	route := f.place(name(r.Route.String()))
	if route == Other {
		f.beyond++
	}
	f.revision++
	fine.cell(route).add(r, f.revision)
	hour.cell(route).add(r, f.revision)
	f.fine.close(closedByCall)
	f.hour.close(closedByCall)
}

// Idle implements calls.Consumer.
func (*Figures) Idle() {}

// Beyond returns how many calls were counted under Other, and Routes how many routes are told apart.
func (f *Figures) Beyond() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.beyond
}

// Routes returns how many routes are told apart.
func (f *Figures) Routes() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.known)
}

// advance brings both rings to a moment, and forgets routes whose last hour is gone.
func (f *Figures) advance(unix int64) (fine, hour *bucket) {
	fine, _ = f.fine.at(unix)
	hour, moved := f.hour.at(unix)
	if moved {
		clear(f.known)
		for _, b := range f.hour.buckets {
			for route := range b.cells {
				if route != Other {
					f.known[route] = struct{}{}
				}
			}
		}
	}
	return fine, hour
}

// place returns the route that a route's calls are counted under.
func (f *Figures) place(route string) string {
	if _, ok := f.known[route]; ok {
		return route
	}
	if route == Other || len(f.known) >= f.options.Routes {
		return Other
	}
	f.known[route] = struct{}{}
	return route
}

// name returns a route's id as reports and JSON can have it.
func name(route string) string { return strings.ToValidUTF8(route[:min(len(route), maxRoute)], "?") }
