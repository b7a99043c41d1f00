package share

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"fivetuple/correlator/fleet"
	"fivetuple/correlator/store"
)

const (
	// followEvery is how often new events are looked for, and gatewaysEvery new gateways.
	followEvery   = 500 * time.Millisecond
	gatewaysEvery = 5 * time.Second
	// eventsAtOnce is how many of a gateway's events are read at a time, and eventsOfAll how many of all gateways', so that what waits to
	// be put in order does not grow with the fleet.
	eventsAtOnce = 1000
	eventsOfAll  = 1 << 16
	// maxStream is the most that a stream takes of Redis' memory, in bytes: maxEvents are far less.
	maxStream = 64 << 20
)

// entry is an event of one gateway.
type entry struct {
	gateway string
	store.Entry
}

// Events hands over the events since so long ago, the oldest first, of one gateway or (empty) of all, until take fails or there
// are no more; to follow is to go on with what is added until the context ends, which is no error. An entry that is none has no value.
// What was left out is an error, ErrLeftOut, after all else was handed over.
func (l *Look) Events(
	ctx context.Context, since time.Duration, gateway string, follow bool, take func(gateway, id string, value []byte) error,
) error {
	return errors.Join(l.events(ctx, since, gateway, follow, take), l.LeftOut())
}

func (l *Look) events(
	ctx context.Context, since time.Duration, gateway string, follow bool, take func(gateway, id string, value []byte) error,
) error {
	at := map[string]string{} // the last entry of each gateway that was read
	begin := strconv.FormatInt(l.Now().Add(-since).UnixMilli(), 10) + "-0"
	looked := time.Time{}
	for {
		if time.Since(looked) >= gatewaysEvery {
			if err := l.newStreams(ctx, gateway, begin, at); err != nil {
				return unlessEnded(ctx, follow, err)
			}
			looked = time.Now()
		}
		more, err := l.nextEvents(ctx, at, take)
		switch {
		case err != nil:
			return unlessEnded(ctx, follow, err)
		case more:
			continue
		case !follow:
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(followEvery):
		}
	}
}

func unlessEnded(ctx context.Context, follow bool, err error) error {
	if follow && ctx.Err() != nil {
		return nil
	}
	return err
}

// newStreams adds the gateways that there are by now.
func (l *Look) newStreams(ctx context.Context, gateway, begin string, at map[string]string) error {
	if gateway != "" {
		at[gateway] = cmp.Or(at[gateway], begin)
		return nil
	}
	seen, err := l.gateways(ctx)
	there := make(map[string]bool, len(seen))
	for _, g := range seen {
		there[g.Gateway], at[g.Gateway] = true, cmp.Or(at[g.Gateway], begin)
	}
	if len(at) > 2*store.MaxGateways { // other names each time
		maps.DeleteFunc(at, func(gateway, _ string) bool { return !there[gateway] })
	}
	return err
}

// nextEvents hands over what comes next, up to where every stream was read, and says whether there may be more.
func (l *Look) nextEvents(ctx context.Context, at map[string]string, take func(gateway, id string, value []byte) error) (more bool, err error) {
	from := make([]store.Position, 0, len(at))
	gateways := make([]string, 0, len(at))
	for g, after := range at {
		gateways = append(gateways, g)
		from = append(from, store.Position{Key: l.keys.Events(g), After: after})
	}
	atOnce := min(max(eventsOfAll/max(len(from), 1), 1), eventsAtOnce)
	streams, err := l.reader.Streams(ctx, from, fleet.EventField, atOnce, maxStream, fleet.MaxEvent)
	if err != nil {
		return false, err
	}
	var all []entry
	var until string // the least last id of those streams that have more
	for i, entries := range streams {
		for _, e := range entries {
			all = append(all, entry{gateways[i], e})
		}
		if len(entries) == atOnce {
			if last := entries[len(entries)-1].ID; until == "" || compareIDs(last, until) < 0 {
				until = last
			}
		}
	}
	slices.SortStableFunc(all, func(a, b entry) int { return compareIDs(a.ID, b.ID) })
	for _, e := range all {
		if until != "" && compareIDs(e.ID, until) > 0 {
			break
		}
		if err := take(e.gateway, e.ID, e.Value); err != nil {
			return false, err
		}
		at[e.gateway] = e.ID
	}
	return until != "", nil
}

// compareIDs orders the ids of entries: milliseconds, a hyphen, a number.
func compareIDs(a, b string) int {
	ams, an := splitID(a)
	bms, bn := splitID(b)
	return cmp.Or(cmp.Compare(ams, bms), cmp.Compare(an, bn))
}

func splitID(id string) (ms, n uint64) {
	first, second, _ := strings.Cut(id, "-")
	ms, _ = strconv.ParseUint(first, 10, 64)
	n, _ = strconv.ParseUint(second, 10, 64)
	return ms, n
}
