package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"
)

// Position is a place in a stream.
type Position struct {
	Key   string
	After string // the id of the last entry that was read; "" to read the last ones
}

// Entry is an entry of a stream.
type Entry struct {
	ID    string // milliseconds of the server's clock, a hyphen, a number
	Value []byte // nil: it has no such field, or a value that is too large
}

// maxEntries is how many entries of a stream are read at once.
const maxEntries = 10000

// Streams reads a field of the entries after each position, or of the last ones, at most count of each stream, in the order of their
// ids; a value of more than `longest` bytes is left out. A stream that takes more than `most` bytes of Redis' memory is not read.
func (r *Reader) Streams(ctx context.Context, from []Position, field string, count int, most int64, longest int) ([][]Entry, error) {
	entries := make([][]Entry, len(from))
	if len(from) > maxKeys {
		return entries, fmt.Errorf("read %d streams: %w: at most %d", len(from), ErrTooMany, maxKeys)
	}
	count = min(max(count, 1), maxEntries)
	keys := make([]string, len(from))
	for i := range from {
		keys[i] = from[i].Key
	}
	err := r.large(ctx, keys, most, func(pipe redis.Pipeliner, key string, i int) {
		if after := from[i].After; after != "" {
			pipe.XRangeN(ctx, key, "("+after, "+", int64(count))
		} else {
			pipe.XRevRangeN(ctx, key, "+", "-", int64(count))
		}
	}, func(cmd redis.Cmder, i int) {
		entries[i] = r.entries(cmd.(*redis.XMessageSliceCmd).Val(), field, longest, from[i].After == "")
	})
	if err != nil {
		return entries, fmt.Errorf("read streams: %w", err)
	}
	return entries, nil
}

func (r *Reader) entries(messages []redis.XMessage, field string, longest int, isReversed bool) []Entry {
	entries := make([]Entry, 0, len(messages))
	for _, m := range messages {
		text, ok := m.Values[field].(string)
		one := Entry{ID: m.ID} // without a value, too: the next are read from there on
		switch {
		case !ok:
			r.meter.Skipped(SkipForeign)
		case len(text) > longest:
			r.meter.Skipped(SkipTooLarge)
		default:
			r.meter.read.Add(1)
			one.Value = []byte(text)
		}
		entries = append(entries, one)
	}
	if isReversed {
		slices.Reverse(entries)
	}
	return entries
}
