package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"fivetuple/correlator/fleet"
)

// maxListBytes is the largest list of gateways that is read: anybody of the fleet may write it.
const maxListBytes = 4 << 20

// Seen is a gateway, and when it was last there, in milliseconds since 1970 in Redis' clock, which is what is in the list, or less.
type Seen struct {
	Gateway string
	At      int64
}

// Gateways returns the gateways of the fleet, the one that was there last first: those that were heard, which nobody can feign, and what
// the list has besides, up to MaxGateways.
func (r *Reader) Gateways(ctx context.Context) ([]Seen, error) {
	at := map[string]int64{}
	r.roster.each(time.Now(), func(gateway string, when time.Time) { at[gateway] = r.clock.At(when) })
	err := r.list(ctx, at)
	seen := make([]Seen, 0, len(at))
	for gateway, when := range at {
		seen = append(seen, Seen{gateway, when})
	}
	slices.SortFunc(seen, func(a, b Seen) int {
		return cmp.Or(cmp.Compare(b.At, a.At), cmp.Compare(a.Gateway, b.Gateway))
	})
	if err == nil {
		r.meter.gateways.Store(int64(len(seen)))
	}
	return seen, err
}

// list adds what the list has.
func (r *Reader) list(ctx context.Context, at map[string]int64) error {
	key := r.keys.Gateways()
	fit, _, err := r.fitting(ctx, []string{key}, maxListBytes)
	if err != nil {
		return fmt.Errorf("read the list of gateways: %w", err)
	}
	cmds, err := r.exec(ctx, len(fit), func(pipe redis.Pipeliner, _ int) { pipe.ZRevRangeWithScores(ctx, key, 0, MaxGateways-1) })
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
		if _, ok := at[gateway]; !ok && len(at) == MaxGateways {
			continue
		}
		at[gateway] = max(at[gateway], int64(min(max(z.Score, 0), float64(now)))) // nobody was there in the future
	}
	return nil
}
