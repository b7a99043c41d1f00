package store

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"
)

// fits is a collection that may be read.
type fits struct {
	key   string
	at    int   // its place
	bytes int64 // of Redis' memory
}

// fitting asks how much memory some keys' values take, before they are read, and returns those that take at most so many bytes. Strings
// have GETRANGE; of hashes, streams and sorted sets nothing but this tells how large an answer will be, and anybody of the fleet may make
// it large. A key that is not there does not fit.
func (r *Reader) fitting(ctx context.Context, keys []string, most int64) (fit []fits, err error) {
	for from := 0; from < len(keys); from += readKeys {
		some := keys[from:min(from+readKeys, len(keys))]
		cmds, err := r.exec(ctx, len(some), func(pipe redis.Pipeliner, i int) { pipe.MemoryUsage(ctx, some[i], 0) })
		if err != nil {
			return nil, err
		}
		for i, cmd := range cmds {
			size := cmd.(*redis.IntCmd)
			switch {
			case size.Err() != nil: // not there, or counted
			case size.Val() > most:
				r.meter.Skipped(SkipTooLarge)
			default:
				fit = append(fit, fits{some[i], from + i, size.Val()})
			}
		}
	}
	return fit, nil
}

// first returns how many collections are read at once: what takes readBytes together, and at least one.
func first(fit []fits) int {
	n, size := 0, int64(0)
	for n < min(len(fit), readKeys) && (n == 0 || size+fit[n].bytes <= readBytes) {
		size += fit[n].bytes
		n++
	}
	return n
}

// large reads collections that take at most `most` bytes of Redis' memory each, by one command each, and hands over the answers, with
// each one's place. A collection whose answer is beyond the bounds all the same has grown meanwhile, or has more elements than
// anybody's: it is counted as too large, and keeps nobody from reading the others.
func (r *Reader) large(
	ctx context.Context, keys []string, most int64, add func(pipe redis.Pipeliner, key string, at int), take func(cmd redis.Cmder, at int),
) error {
	fit, err := r.fitting(ctx, keys, most)
	if err != nil {
		return err
	}
	read := func(some []fits) error {
		cmds, err := r.exec(ctx, len(some), func(pipe redis.Pipeliner, i int) { add(pipe, some[i].key, some[i].at) })
		if err != nil {
			return err
		}
		for i, cmd := range cmds {
			take(cmd, some[i].at)
		}
		return nil
	}
	for n := 0; len(fit) > 0; fit = fit[n:] {
		n = first(fit)
		err := read(fit[:n])
		if errors.Is(err, ErrReply) {
			err = r.alone(fit[:n], read)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// alone reads collections one after the other.
func (r *Reader) alone(fit []fits, read func(some []fits) error) error {
	for i := range fit {
		switch err := read(fit[i : i+1]); {
		case errors.Is(err, ErrReply):
			r.meter.Skipped(SkipTooLarge)
		case err != nil:
			return err
		}
	}
	return nil
}
