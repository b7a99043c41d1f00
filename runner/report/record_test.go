package report

import (
	"sync/atomic"
	"testing"
	"time"

	"fivetuple/correlator"
	"fivetuple/correlator/flow"
	"fivetuple/correlator/signal"
)

// noon is a full hour.
var noon = time.Date(2026, 7, 30, 12, 0, 0, 0, time.UTC)

// clock is a wall clock that tests set.
type clock struct{ atomic.Int64 }

func (c *clock) now() time.Time { return time.Unix(0, c.Load()).UTC() }

func (c *clock) set(to time.Time) { c.Store(to.UnixNano()) }

func (c *clock) advance(by time.Duration) { c.Add(int64(by)) }

// newFigures returns figures that began at noon, and their clock.
func newFigures(t testing.TB, routes int) (*Figures, *clock) {
	t.Helper()
	c := new(clock)
	c.set(noon)
	return New(Options{Routes: routes, Gateway: "gw-1", Now: c.now}), c
}

// exchange is the record of a call that has everything.
func exchange(route string) *correlator.CallRecord {
	r := &correlator.CallRecord{
		Match: correlator.MatchExchange,
		Request: correlator.Traffic{
			Span: flow.Span{Packets: 2, Bytes: 1104, Payload: 1000, Length: 1000}, Retransmitted: 1,
		},
		Response: correlator.Traffic{
			Span: flow.Span{Packets: 5, Bytes: 6260, Payload: 6000, Length: 6000}, Retransmitted: 4,
		},
		Split: correlator.Split{Network: 23_000_000, Arriving: 100_000, Waiting: 200_000, Serving: 9_700_000, Leaving: 1_000_400, Total: 34_000_400},
	}
	r.Route.Route = route
	return r
}

func flagged(r *correlator.CallRecord, signals ...signal.Signal) *correlator.CallRecord {
	r.Judged, r.Flagged = true, true
	for _, s := range signals {
		r.Facts.Add(s, 0.9)
	}
	return r
}

// took sets a call's whole time and that of the upstream, in microseconds.
func took(r *correlator.CallRecord, us float64) *correlator.CallRecord {
	r.Split = correlator.Split{Serving: uint64(us * 1000), Total: uint64(us * 1000)}
	return r
}

func routeOf(t testing.TB, r Report, id string) Route {
	t.Helper()
	for _, route := range r.Routes {
		if route.Route == id {
			return route
		}
	}
	t.Fatalf("no route %s in %+v", id, r.Routes)
	return Route{}
}
