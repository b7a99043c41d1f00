package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/redis/go-redis/v9"

	"fivetuple/correlator/fleet"
)

const (
	// maxKeys is how many keys are read in one call.
	maxKeys = 65536
	// readKeys and readBytes bound what is asked at once.
	readKeys  = 256
	readBytes = 8 << 20
)

// ErrTooMany is more keys than one call reads.
var ErrTooMany = errors.New("too many keys")

// Reader reads what gateways have written. Its methods wait for the network, within the context and the client's timeouts: they are
// for a goroutine that has nothing else to do. What is too large or of another type is skipped and counted. Before an error they hand
// over what could be read.
type Reader struct {
	client redis.UniversalClient
	meter  *Meter
	keys   fleet.Keys
	roster *roster
	clock  *Clock
	checks int // how many names of the list are looked into each time
}

// NewReader returns a Reader for a fleet, for a command. That of a gateway is the Link's.
func NewReader(client redis.UniversalClient, m *Meter, keys fleet.Keys, c *Clock) *Reader {
	return &Reader{client: client, meter: m, keys: keys, roster: new(roster), clock: c, checks: math.MaxInt}
}

// Strings reads the strings under some keys, and hands over what there is, with each key's place: of at most `most` bytes each. Only so
// much is in memory as is read at once.
func (r *Reader) Strings(ctx context.Context, keys []string, most int, take func(i int, value []byte)) error {
	if len(keys) > maxKeys {
		return fmt.Errorf("read %d keys: %w: at most %d", len(keys), ErrTooMany, maxKeys)
	}
	most = min(most, MaxValue)
	step := parts(int64(most))
	for at := 0; at < len(keys); at += step {
		part := keys[at:min(at+step, len(keys))]
		cmds, err := r.exec(ctx, len(part), func(pipe redis.Pipeliner, i int) {
			pipe.GetRange(ctx, part[i], 0, int64(most)) // one more than may be
		})
		if err != nil {
			return fmt.Errorf("read strings: %w", err)
		}
		for i, cmd := range cmds {
			if value := r.value(cmd.(*redis.StringCmd), most); value != nil {
				take(at+i, value)
			}
		}
	}
	return nil
}

// value returns the value that came, or nil.
func (r *Reader) value(cmd *redis.StringCmd, most int) []byte {
	text, err := cmd.Bytes()
	switch {
	case err != nil || len(text) == 0: // counted by exec, or not there
		return nil
	case len(text) > most:
		r.meter.Skipped(SkipTooLarge)
		return nil
	}
	r.meter.read.Add(1)
	return text
}

// exec sends n commands, one each by add. A command that has no usable answer is counted; what would have one later is an error.
func (r *Reader) exec(ctx context.Context, n int, add func(pipe redis.Pipeliner, i int)) ([]redis.Cmder, error) {
	if n == 0 {
		return nil, nil
	}
	pipe := r.client.Pipeline()
	for i := range n {
		add(pipe, i)
	}
	cmds, err := pipe.Exec(ctx)
	var fault, isRefused error
	isTold := false // see batch.pipeline
	for _, cmd := range cmds {
		one := cmd.Err()
		isTold = isTold || one != nil
		switch outcomeOf(one) {
		case refused:
			r.meter.Skipped(SkipForeign)
			isRefused = one
		case notNow:
			fault = cmp.Or(fault, one)
		case arrived, unspoken:
		}
	}
	if !isTold && outcomeOf(err) != arrived {
		fault = err
	}
	r.meter.answered(cmp.Or(fault, isRefused))
	return cmds, fault
}
