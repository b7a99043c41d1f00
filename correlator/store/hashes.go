package store

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// Hashes reads whole hashes, and hands over those that there are, with each key's place: but for one that takes more than `most` bytes of
// Redis' memory, which is about 100 bytes a field more than its texts.
func (r *Reader) Hashes(ctx context.Context, keys []string, most int64, take func(i int, fields map[string][]byte)) error {
	if len(keys) > maxKeys {
		return fmt.Errorf("read %d hashes: %w: at most %d", len(keys), ErrTooMany, maxKeys)
	}
	err := r.large(ctx, keys, most, func(pipe redis.Pipeliner, key string, _ int) { pipe.HGetAll(ctx, key) }, func(cmd redis.Cmder, i int) {
		if fields := r.fields(cmd.(*redis.MapStringStringCmd).Val()); fields != nil {
			take(i, fields)
		}
	})
	if err != nil {
		return fmt.Errorf("read hashes: %w", err)
	}
	return nil
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
