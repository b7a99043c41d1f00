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
	seen, err := l.reader.Gateways(ctx)
	if err != nil {
		return err
	}
	keys := make([]string, 0, len(seen))
	for _, g := range seen {
		keys = append(keys, l.keys.Flags(g.Gateway))
	}
	values, err := l.reader.Strings(ctx, keys, fleet.MaxFlags)
	for i, v := range values {
		if v != nil {
			hear(seen[i].Gateway, v)
		}
	}
	return err
}

// Gateways implements report.Source.
func (l *Look) Gateways(ctx context.Context) ([]report.Gateway, error) {
	seen, err := l.reader.Gateways(ctx)
	if err != nil {
		return nil, err
	}
	keys := make([]string, 0, len(seen))
	for _, g := range seen {
		keys = append(keys, l.keys.Who(g.Gateway))
	}
	values, err := l.reader.Strings(ctx, keys, fleet.MaxWho)
	if err != nil {
		return nil, err
	}
	gateways := make([]report.Gateway, 0, len(seen))
	for i, g := range seen {
		one := report.Gateway{Gateway: g.Gateway, LastSeen: time.UnixMilli(g.At).UTC()}
		if w, err := fleet.DecodeWho(values[i]); err == nil {
			ahead := -w.Offset
			one.ClockOffset = &ahead
		}
		gateways = append(gateways, one)
	}
	return gateways, nil
}

// Values implements report.Source.
func (l *Look) Values(ctx context.Context, gateway string, buckets []report.Bucket, route *string, each func(route string, value []byte)) error {
	keys := make([]string, len(buckets))
	for i, b := range buckets {
		keys[i] = l.keys.Figures(gateway, b.Step, b.Start)
	}
	hashes, err := l.reader.Hashes(ctx, keys, maxBuckets)
	if err != nil {
		return err
	}
	for _, routes := range hashes {
		for id, value := range routes {
			if route == nil || *route == id {
				each(id, value)
			}
		}
	}
	return nil
}

// Now returns Redis' time.
func (l *Look) Now() time.Time { return time.UnixMilli(l.clock.Now()) }
