package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"fivetuple/correlator/fleet"
)

const (
	// maxListed is how many names of the list of gateways are read, by rank, the one that was there last first; maxListBytes is how many
	// bytes of names: anybody of the fleet may write the list, and a name is as long as a value may be.
	maxListed    = 1 << 16
	maxListBytes = 4 << 20
	// minListed and listedAtOnce are how many names are read at once, first and at most: sixteen of the longest fit into an answer.
	minListed, listedAtOnce = 16, 1024
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

// Gateways returns the gateways of the fleet, up to MaxGateways: those that are proven first, then the one that was there last. It also
// returns how many names of the list are left out.
func (r *Reader) Gateways(ctx context.Context) (seen []Seen, leftOut int, err error) {
	all := map[string]Seen{}
	r.roster.each(time.Now(), func(gateway string, when time.Time) { all[gateway] = Seen{gateway, r.clock.At(when), true} })
	err = r.connected(ctx, all)
	if err == nil {
		leftOut, err = r.list(ctx, all)
	}
	if err == nil {
		err = r.prove(ctx, all)
	}
	seen = slices.SortedFunc(maps.Values(all), compareSeen)
	if len(seen) > MaxGateways {
		leftOut += len(seen) - MaxGateways
		seen = seen[:MaxGateways]
	}
	if err == nil {
		r.meter.gateways.Store(int64(len(seen)))
		r.meter.leftOut.Store(int64(leftOut))
	}
	return seen, leftOut, err
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

// connected adds the gateways that are connected to Redis: each subscribes to its own channel, which the ACL permits to nobody else, so
// that no member can add to these, or take one away. Where the ACL is an older one, nobody is known by this.
func (r *Reader) connected(ctx context.Context, all map[string]Seen) error {
	client, err := listServer(ctx, r.client, r.keys.Gateways())
	if err != nil {
		return fmt.Errorf("read which gateways are connected: %w", err)
	}
	channels, err := client.PubSubChannels(ctx, r.keys.Channels()).Result()
	if redis.IsPermissionError(err) || errors.Is(err, ErrReply) { // without an ACL, anybody may subscribe to anything
		return nil
	}
	if err != nil {
		r.meter.answered(err)
		return fmt.Errorf("read which gateways are connected: %w", err)
	}
	now := time.Now()
	for _, channel := range channels {
		if gateway, ok := r.keys.Writer(channel); ok && len(all) < MaxGateways {
			all[gateway] = Seen{gateway, r.clock.At(now), true}
			r.roster.hear(gateway, now)
		}
	}
	return nil
}

// list adds what the list has, and returns how many names of it were not read.
func (r *Reader) list(ctx context.Context, all map[string]Seen) (leftOut int, err error) {
	key := r.keys.Gateways()
	cmds, err := r.exec(ctx, 1, func(pipe redis.Pipeliner, _ int) { pipe.ZCard(ctx, key) })
	if err != nil {
		return 0, fmt.Errorf("read the list of gateways: %w", err)
	}
	length, at, size := cmds[0].(*redis.IntCmd).Val(), int64(0), 0
	for step := int64(minListed); at < min(length, maxListed) && size <= maxListBytes; step = min(2*step, listedAtOnce) {
		cmds, err := r.exec(ctx, 1, func(pipe redis.Pipeliner, _ int) { pipe.ZRevRangeWithScores(ctx, key, at, at+step-1) })
		if errors.Is(err, ErrReply) {
			break // the names are too long
		}
		if err != nil {
			return 0, fmt.Errorf("read the list of gateways: %w", err)
		}
		for _, z := range cmds[0].(*redis.ZSliceCmd).Val() {
			size += r.listed(z, all)
		}
		at += step
	}
	return int(max(length-at, 0)), nil
}

// listed adds an entry of the list, and returns its length in bytes.
func (r *Reader) listed(z redis.Z, all map[string]Seen) int {
	gateway, _ := z.Member.(string)
	if fleet.ValidName(gateway) != nil {
		r.meter.Skipped(SkipForeign)
		return len(gateway)
	}
	s := all[gateway]
	s.Gateway, s.At = gateway, max(s.At, int64(min(max(z.Score, 0), float64(r.clock.Now())))) // nobody was there in the future
	all[gateway] = s
	return len(gateway)
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
