package share

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/rs/zerolog"

	"fivetuple/correlator/fleet"
	"fivetuple/correlator/store"
	"fivetuple/runner/report"
)

// Look reads what the gateways of a fleet have told, for commands. Its methods wait for the network, within the context.
type Look struct {
	client io.Closer
	keys   fleet.Keys
	reader *store.Reader
	clock  *store.Clock
}

// NewLook connects, and asks for the time. It must be closed.
func NewLook(ctx context.Context, o Options, log zerolog.Logger) (*Look, error) {
	client, err := store.Dial(o.Redis, log)
	if err != nil {
		return nil, err
	}
	l := &Look{client: client, keys: fleet.NewKeys(o.Fleet.Name, o.Fleet.Spread)}
	meter := new(store.Meter)
	l.clock = store.NewClock(client, meter, l.keys)
	l.reader = store.NewReader(client, meter, l.keys, l.clock)
	if err := l.clock.Ask(ctx); err != nil {
		_ = client.Close()
		return nil, fmt.Errorf("reach Redis at %v: %w", o.Redis.Addresses, err)
	}
	return l, nil
}

// Close closes the connections.
func (l *Look) Close() error { return l.client.Close() }

// Moment returns a kernel's time of now, CLOCK_MONOTONIC nanoseconds, with Redis'.
func (l *Look) Moment(now uint64) fleet.Moment {
	return fleet.Moment{Kernel: now, Redis: l.clock.Now()}
}

// Flags hands over the list of flags of each gateway that has one.
func (l *Look) Flags(ctx context.Context, hear func(gateway string, value []byte)) error {
	return eachOfAll(ctx, l.reader, l.keys.Flags, fleet.MaxFlags, hear)
}

// Gateways implements report.Source.
func (l *Look) Gateways(ctx context.Context) ([]report.Gateway, error) {
	seen, err := l.reader.Gateways(ctx)
	if err != nil {
		return nil, err
	}
	gateways, names, at := make([]report.Gateway, len(seen)), make([]string, len(seen)), make(map[string]int, len(seen))
	for i, g := range seen {
		gateways[i] = report.Gateway{Gateway: g.Gateway, LastSeen: time.UnixMilli(g.At).UTC()}
		names[i], at[g.Gateway] = g.Gateway, i
	}
	err = each(ctx, l.reader, names, l.keys.Who, fleet.MaxWho, func(gateway string, value []byte) {
		if w, err := fleet.DecodeWho(value); err == nil {
			ahead := -w.Offset
			gateways[at[gateway]].ClockOffset = &ahead
		}
	})
	if err != nil {
		return nil, err
	}
	return gateways, nil
}

// Values implements report.Source.
func (l *Look) Values(ctx context.Context, gateway string, buckets []report.Bucket, route *string, each func(route string, value []byte)) error {
	return eachOfBuckets(ctx, l.reader, l.keys, gateway, buckets, func(_ report.Bucket, id string, value []byte) {
		if route == nil || *route == id {
			each(id, value)
		}
	})
}

// Now returns Redis' time.
func (l *Look) Now() time.Time { return time.UnixMilli(l.clock.Now()) }
