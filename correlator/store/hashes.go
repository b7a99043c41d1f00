package store

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// Hashes reads whole hashes, in the keys' order: nil where there is none, or one that takes more than `most` bytes of Redis' memory,
// which is about 100 bytes a field more than its texts.
func (r *Reader) Hashes(ctx context.Context, keys []string, most int64) ([]map[string][]byte, error) {
	hashes := make([]map[string][]byte, len(keys))
	if len(keys) > maxKeys {
		return hashes, fmt.Errorf("read %d hashes: %w: at most %d", len(keys), ErrTooMany, maxKeys)
	}
	step := parts(most)
	for from := 0; from < len(keys); from += step {
		fit, at, err := r.fitting(ctx, keys[from:min(from+step, len(keys))], most)
		if err != nil {
			return hashes, fmt.Errorf("read hashes: %w", err)
		}
		cmds, err := r.exec(ctx, len(fit), func(pipe redis.Pipeliner, i int) { pipe.HGetAll(ctx, fit[i]) })
		if err != nil {
			return hashes, fmt.Errorf("read hashes: %w", err)
		}
		for i, cmd := range cmds {
			hashes[from+at[i]] = r.fields(cmd.(*redis.MapStringStringCmd).Val())
		}
	}
	return hashes, nil
}

func (r *Reader) fields(texts map[string]string) map[string][]byte {
	if len(texts) == 0 {
		return nil
	}
	fields := make(map[string][]byte, len(texts))
	for name, text := range texts {
		if len(text) > MaxValue {
			r.meter.Skipped(SkipTooLarge)
			continue
		}
		r.meter.read.Add(1)
		fields[name] = []byte(text)
	}
	return fields
}

// parts is how many keys are read at once, if each may have so many bytes.
func parts(most int64) int { return int(min(readKeys, max(readBytes/max(most, 1), 1))) }
