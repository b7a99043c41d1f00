package store

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"fivetuple/correlator/fleet"
)

const (
	// maxListBytes is the largest list of gateways that is read: anybody of the fleet may write it.
	maxListBytes = 4 << 20
	// checkedAtOnce is how many names of the list a gateway looks into each time; the names are drawn, so that nobody can put himself before
	// the others. A command has one time only, and looks into all.
	checkedAtOnce = 1024
)

// Seen is a gateway, and when it was last there, in milliseconds since 1970 in Redis' clock, which is what is in the list, or less.
type Seen struct {
	Gateway string
	At      int64
	// IsProven says that it was heard, or had said who it is, within the last hour: only it may do either. The others are names on the
	// list: gateways that are there no more, that were not looked into yet, or that never were.
	IsProven bool
}

// Gateways returns the gateways of the fleet, up to MaxGateways: those that are proven first, then the one that was there last.
func (r *Reader) Gateways(ctx context.Context) ([]Seen, error) {
	all := map[string]Seen{}
	r.roster.each(time.Now(), func(gateway string, when time.Time) { all[gateway] = Seen{gateway, r.clock.At(when), true} })
	err := r.list(ctx, all)
	if err == nil {
		err = r.prove(ctx, all)
	}
	seen := slices.SortedFunc(maps.Values(all), compareSeen)
	seen = seen[:min(len(seen), MaxGateways)]
	if err == nil {
		r.meter.gateways.Store(int64(len(seen)))
	}
	return seen, err
}

func compareSeen(a, b Seen) int {
	switch {
	case a.IsProven && !b.IsProven:
		return -1
	case b.IsProven && !a.IsProven:
		return 1
	}
	return cmp.Or(cmp.Compare(b.At, a.At), cmp.Compare(a.Gateway, b.Gateway))
}

// list adds what the list has.
func (r *Reader) list(ctx context.Context, all map[string]Seen) error {
	key := r.keys.Gateways()
	fit, _, err := r.fitting(ctx, []string{key}, maxListBytes)
	if err != nil {
		return fmt.Errorf("read the list of gateways: %w", err)
	}
	cmds, err := r.exec(ctx, len(fit), func(pipe redis.Pipeliner, _ int) { pipe.ZRevRangeWithScores(ctx, key, 0, -1) })
	if err != nil {
		return fmt.Errorf("read the list of gateways: %w", err)
	}
	if len(cmds) == 0 {
		return nil
	}
	now := r.clock.Now()
	for _, z := range cmds[0].(*redis.ZSliceCmd).Val() {
		gateway, _ := z.Member.(string)
		if fleet.ValidName(gateway) != nil {
			r.meter.Skipped(SkipForeign)
			continue
		}
		s := all[gateway]
		s.Gateway, s.At = gateway, max(s.At, int64(min(max(z.Score, 0), float64(now)))) // nobody was there in the future
		all[gateway] = s
	}
	return nil
}

// prove looks whether gateways that are not proven say who they are. Those that do are remembered like those that were heard, so that an
// honest fleet is looked into once an hour.
func (r *Reader) prove(ctx context.Context, all map[string]Seen) error {
	var names []string
	for _, s := range all {
		if !s.IsProven {
			names = append(names, s.Gateway)
		}
	}
	rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	for some := range slices.Chunk(names[:min(len(names), r.checks)], readKeys) {
		cmds, err := r.exec(ctx, len(some), func(pipe redis.Pipeliner, i int) { pipe.StrLen(ctx, r.keys.Who(some[i])) })
		if err != nil {
			return fmt.Errorf("look who is on the list of gateways: %w", err)
		}
		for i, cmd := range cmds {
			if cmd.(*redis.IntCmd).Val() > 0 {
				s := all[some[i]]
				s.IsProven = true
				all[some[i]] = s
				r.roster.hear(some[i], time.Now())
			}
		}
	}
	return nil
}
