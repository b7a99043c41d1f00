package report

import (
	"context"
	"errors"
	"time"

	"fivetuple/correlator/fleet"
)

// Source has what gateways have published.
type Source interface {
	// Gateways returns those that there are, with their name, when they were last there, and their clock's offset.
	Gateways(ctx context.Context) ([]Gateway, error)
	// Values calls for each route of a gateway in some buckets, or for one route alone, with the value as it was published. The value
	// is the caller's until it returns.
	Values(ctx context.Context, gateway string, buckets []Bucket, route *string, each func(route string, value []byte)) error
}

// MaxRoutes is how many routes a report of several gateways tells apart; what is beyond is Other's. No gateway has more of its own.
const MaxRoutes = 10_000

// Collect returns what all gateways have counted. Values that can't be read are counted, and left out.
func Collect(ctx context.Context, q Query, now time.Time, from Source) (Report, error) {
	return collect(ctx, q, now, from, MaxRoutes)
}

// collect reads a second time where there are too many routes: only then it is known which are told apart, and to keep the sketches of
// all until then would take memory without a bound.
func collect(ctx context.Context, q Query, now time.Time, from Source, maxRoutes int) (Report, error) {
	gateways, err := from.Gateways(ctx)
	if err != nil {
		return Report{}, err
	}
	c, err := read(ctx, q, now, from, gateways, &collected{maxRoutes: maxRoutes})
	if err == nil && c.isOver {
		c, err = read(ctx, q, now, from, gateways, &collected{maxRoutes: maxRoutes, rows: rows(c.offers, maxRoutes)})
	}
	if err != nil {
		return Report{}, err
	}
	for id, t := range c.totals {
		c.Routes = append(c.Routes, t.route(id))
	}
	c.sort()
	return c.Report, nil
}

func read(ctx context.Context, q Query, now time.Time, from Source, gateways []Gateway, c *collected) (*collected, error) {
	buckets := Buckets(now, q.Since)
	c.Report, c.totals = newReport(time.Unix(buckets[0].Start, 0), now), make(map[string]*total)
	for _, g := range gateways {
		g.Calls, g.Flagged = 0, 0
		o := make(offer)
		if err := from.Values(ctx, g.Gateway, buckets, q.Route, func(route string, value []byte) { c.add(&g, o, route, value) }); err != nil {
			return nil, err
		}
		for route := range o {
			if c.folds(route) {
				g.FoldedRoutes++
			}
		}
		c.Gateways, c.offers = append(c.Gateways, g), append(c.offers, o)
	}
	return c, nil
}

// collected is what was read.
type collected struct {
	Report
	totals    map[string]*total
	offers    []offer // of the gateways, in their order
	maxRoutes int
	rows      map[string]struct{} // the routes that are told apart; nil: all, as long as there are not more than maxRoutes
	isOver    bool                // there are, and nothing is merged any more
}

func (c *collected) add(g *Gateway, o offer, route string, value []byte) {
	v, err := Decode(value)
	switch {
	case errors.Is(err, fleet.ErrVersion):
		c.Skipped.Version++
		return
	case err != nil:
		c.Skipped.Damaged++
		return
	}
	g.Calls, g.Flagged = sum(g.Calls, v.Calls), sum(g.Flagged, v.Flagged)
	route = name(route)
	o.add(route, v.Calls, c.maxRoutes)
	if c.folds(route) {
		g.FoldedCalls = sum(g.FoldedCalls, v.Calls)
		route = Other
	}
	if t := c.total(route); t != nil {
		t.add(v)
	}
}

// folds says whether a route is Other's.
func (c *collected) folds(route string) bool {
	_, ok := c.rows[route]
	return c.rows != nil && !ok && route != Other
}

// total returns what a route's values are added to; nil, if there are too many routes.
func (c *collected) total(route string) *total {
	t := c.totals[route]
	if t != nil || c.isOver {
		return t
	}
	if c.rows == nil && route != Other && len(c.totals) >= c.maxRoutes {
		c.isOver = true
		clear(c.totals)
		return nil
	}
	t = new(total)
	c.totals[route] = t
	return t
}
