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

// MaxRoutes is how many routes a report of several gateways tells apart; what is beyond is Other's.
const MaxRoutes = 10_000

// Collect returns what all gateways have counted. Values that can't be read are counted, and left out.
func Collect(ctx context.Context, q Query, now time.Time, from Source) (Report, error) {
	gateways, err := from.Gateways(ctx)
	if err != nil {
		return Report{}, err
	}
	buckets := Buckets(now, q.Since)
	c := collected{Report: newReport(time.Unix(buckets[0].Start, 0), now), totals: make(map[string]*total), maxRoutes: MaxRoutes}
	for _, g := range gateways {
		g.Calls, g.Flagged = 0, 0
		if err := from.Values(ctx, g.Gateway, buckets, q.Route, func(route string, value []byte) { c.add(&g, route, value) }); err != nil {
			return Report{}, err
		}
		c.Gateways = append(c.Gateways, g)
	}
	for id, t := range c.totals {
		c.Routes = append(c.Routes, t.route(id))
	}
	c.sort()
	return c.Report, nil
}

type collected struct {
	Report
	totals    map[string]*total
	maxRoutes int
}

func (c *collected) add(g *Gateway, route string, value []byte) {
	v, err := Decode(value)
	switch {
	case errors.Is(err, fleet.ErrVersion):
		c.Skipped.Version++
	case err != nil:
		c.Skipped.Damaged++
	default:
		g.Calls, g.Flagged = sum(g.Calls, v.Calls), sum(g.Flagged, v.Flagged)
		c.total(name(route)).add(v)
	}
}

func (c *collected) total(route string) *total {
	if t := c.totals[route]; t != nil {
		return t
	}
	if len(c.totals) >= c.maxRoutes && route != Other {
		return c.total(Other)
	}
	t := new(total)
	c.totals[route] = t
	return t
}
