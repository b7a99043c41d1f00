package store

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// fitting asks how much memory some keys' values take, before they are read, and returns those that take at most so many bytes, with each
// one's place. Strings have GETRANGE; of hashes, streams and sorted sets nothing but this tells how large an answer will be, and anybody of
// the fleet may make it large. A key that is not there does not fit.
func (r *Reader) fitting(ctx context.Context, keys []string, most int64) (fit []string, at []int, err error) {
	cmds, err := r.exec(ctx, len(keys), func(pipe redis.Pipeliner, i int) { pipe.MemoryUsage(ctx, keys[i], 0) })
	if err != nil {
		return nil, nil, err
	}
	for i, cmd := range cmds {
		size := cmd.(*redis.IntCmd)
		switch {
		case size.Err() != nil: // not there, or counted
		case size.Val() > most:
			r.meter.Skipped(SkipTooLarge)
		default:
			fit, at = append(fit, keys[i]), append(at, i)
		}
	}
	return fit, at, nil
}
