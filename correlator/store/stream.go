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
// ids. A stream that takes more than `most` bytes of Redis' memory is not read.
func (r *Reader) Streams(ctx context.Context, from []Position, field string, count int, most int64) ([][]Entry, error) {
	entries := make([][]Entry, len(from))
	if len(from) > maxKeys {
		return entries, fmt.Errorf("read %d streams: %w: at most %d", len(from), ErrTooMany, maxKeys)
	}
	count = min(max(count, 1), maxEntries)
	step := parts(most)
	for first := 0; first < len(from); first += step {
		part := from[first:min(first+step, len(from))]
		keys := make([]string, len(part))
		for i := range part {
			keys[i] = part[i].Key
		}
		fit, at, err := r.fitting(ctx, keys, most)
		if err != nil {
			return entries, fmt.Errorf("read streams: %w", err)
		}
		cmds, err := r.exec(ctx, len(fit), func(pipe redis.Pipeliner, i int) {
			if after := part[at[i]].After; after != "" {
				pipe.XRangeN(ctx, fit[i], "("+after, "+", int64(count))
			} else {
				pipe.XRevRangeN(ctx, fit[i], "+", "-", int64(count))
			}
		})
		if err != nil {
			return entries, fmt.Errorf("read streams: %w", err)
		}
		for i, cmd := range cmds {
			entries[first+at[i]] = r.entries(cmd.(*redis.XMessageSliceCmd).Val(), field, part[at[i]].After == "")
		}
	}
	return entries, nil
}

func (r *Reader) entries(messages []redis.XMessage, field string, isReversed bool) []Entry {
	entries := make([]Entry, 0, len(messages))
	for _, m := range messages {
		text, ok := m.Values[field].(string)
		one := Entry{ID: m.ID} // without a value, too: the next are read from there on
		switch {
		case !ok:
			r.meter.Skipped(SkipForeign)
		case len(text) > MaxValue:
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
