package store

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// fits asks how much memory some keys' values take, before they are read, and says which ones take at most so many bytes. Strings have
// GETRANGE; of hashes, streams and sorted sets nothing but this tells how large an answer will be, and anybody of the fleet may make it
// large. A key that is not there does not fit.
func (r *Reader) fits(ctx context.Context, keys []string, most int64) ([]bool, error) {
	cmds, err := r.exec(ctx, len(keys), func(pipe redis.Pipeliner, i int) { pipe.MemoryUsage(ctx, keys[i], 0) })
	if err != nil {
		return nil, err
	}
	fit := make([]bool, len(keys))
	for i, cmd := range cmds {
		size := cmd.(*redis.IntCmd)
		switch {
		case size.Err() != nil: // not there, or counted
		case size.Val() > most:
			r.meter.Skipped(SkipTooLarge)
		default:
			fit[i] = true
		}
	}
	return fit, nil
}

// fitting returns those of some keys that fit, and each one's place.
func (r *Reader) fitting(ctx context.Context, keys []string, most int64) (fit []string, at []int, err error) {
	is, err := r.fits(ctx, keys, most)
	for i := range is {
		if is[i] {
			fit, at = append(fit, keys[i]), append(at, i)
		}
	}
	return fit, at, err
}
