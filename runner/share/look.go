package share

import (
	"context"
	"errors"
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
	meter  *store.Meter
	names  int // of the list of gateways that were left out when it was last read
}

// ErrLeftOut means that what was handed over is not all that the fleet has.
var ErrLeftOut = errors.New("not all of the fleet was read")

// LeftOut returns what was not read because it is beyond the bounds, as an error; nil, if it is nothing. A member of the fleet may have
// written it: what the others have is handed over all the same.
func (l *Look) LeftOut() error {
	var errs []error
	if l.names > 0 {
		errs = append(errs, fmt.Errorf("%w: %d names on the list of gateways (%s) are left out: the gateways that are connected, and the first %d names, are read",
			ErrLeftOut, l.names, l.keys.Gateways(), store.MaxGateways))
	}
	if n := l.meter.Counts().Skipped[store.SkipTooLarge]; n > 0 {
		errs = append(errs, fmt.Errorf("%w: %d values are larger than any that a gateway writes, and are left out", ErrLeftOut, n))
	}
	return errors.Join(errs...)
}

// gateways returns the gateways of the fleet.
func (l *Look) gateways(ctx context.Context) ([]store.Seen, error) {
	seen, leftOut, err := l.reader.Gateways(ctx)
	l.names = leftOut
	return seen, err
}

// NewLook connects, and asks for the time. It must be closed.
func NewLook(ctx context.Context, o Options, log zerolog.Logger) (*Look, error) {
	client, err := store.Dial(o.Redis, log)
	if err != nil {
		return nil, err
	}
	l := &Look{client: client, keys: fleet.NewKeys(o.Fleet.Name, o.Fleet.Spread)}
	l.meter = new(store.Meter)
	l.meter.Attach(client)
	l.clock = store.NewClock(client, l.meter, l.keys)
	l.reader = store.NewReader(client, l.meter, l.keys, l.clock)
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

// Flags hands over the list of flags of each gateway that has one. What was left out is an error, ErrLeftOut, after all else.
func (l *Look) Flags(ctx context.Context, hear func(gateway string, value []byte)) error {
	seen, err := l.gateways(ctx)
	if err != nil {
		return err
	}
	return errors.Join(each(ctx, l.reader, namesOf(seen), l.keys.Flags, fleet.MaxFlags, hear), l.LeftOut())
}

// Gateways implements report.Source.
func (l *Look) Gateways(ctx context.Context) ([]report.Gateway, error) {
	seen, err := l.gateways(ctx)
	if err != nil {
		return nil, err
	}
	gateways, at := make([]report.Gateway, len(seen)), make(map[string]int, len(seen))
	for i, g := range seen {
		gateways[i] = report.Gateway{Gateway: g.Gateway, LastSeen: time.UnixMilli(g.At).UTC()}
		at[g.Gateway] = i
	}
	err = each(ctx, l.reader, namesOf(seen), l.keys.Who, fleet.MaxWho, func(gateway string, value []byte) {
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
