package store

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// sendTimeout bounds the sending of a batch, on top of the client's own timeouts.
const sendTimeout = 15 * time.Second

// batch is some writes on their way. SET and PUBLISH carry all they need, and are one pipeline; a hash or a stream needs EXPIRE
// beside it, and must not be without for a moment in which this process might die: so each such key is one MULTI.
type batch struct {
	client   redis.UniversalClient
	writes   []sending
	outcomes []outcome
	fault    error // the first that was met
	now      time.Time
}

// send sends the writes and says what became of each, and what went wrong first.
func send(ctx context.Context, client redis.UniversalClient, now time.Time, writes []sending) ([]outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	b := &batch{client: client, writes: writes, outcomes: make([]outcome, len(writes)), now: now}
	var plain []int
	var keys []name
	units := map[name][]int{}
	for i, w := range writes {
		b.outcomes[i] = notNow // until it is known
		if w.kind == KindSet || w.kind == KindPublish {
			plain = append(plain, i)
			continue
		}
		unit := name{kind: w.kind, key: w.key}
		if units[unit] == nil {
			keys = append(keys, unit)
		}
		units[unit] = append(units[unit], i)
	}
	b.pipeline(ctx, plain)
	for _, unit := range keys {
		if b.fault != nil && isSilent(b.fault) {
			break // nobody is there: one timeout is enough
		}
		b.unit(ctx, unit, units[unit])
	}
	return b.outcomes, b.fault
}

func (b *batch) pipeline(ctx context.Context, writes []int) {
	pipe := b.client.Pipeline()
	for _, i := range writes {
		_ = pipe.Process(ctx, b.plain(ctx, &b.writes[i]))
	}
	cmds, err := pipe.Exec(ctx)
	isTold := false // a refused connection is told to no command of the pipeline
	for _, cmd := range cmds {
		isTold = isTold || cmd.Err() != nil
	}
	for at, i := range writes {
		cause := cmds[at].Err()
		if !isTold {
			cause = err
		}
		b.outcomes[i] = outcomeOf(cause)
		b.noteFault(cause)
	}
}

func (b *batch) plain(ctx context.Context, w *sending) redis.Cmder {
	if w.kind == KindSet {
		return redis.NewStatusCmd(ctx, "set", w.key, w.value, "px", b.left(w))
	}
	cmd := redis.NewIntCmd(ctx, "publish", w.key, w.value)
	cmd.SetFirstKeyPos(1) // one node for all of a channel, else they overtake each other
	return cmd
}

// left is how long a write's key has yet to live, in milliseconds.
func (b *batch) left(w *sending) int64 { return max(w.until.Sub(b.now).Milliseconds(), 1) }

// unit sends what concerns one hash or stream.
func (b *batch) unit(ctx context.Context, of name, writes []int) {
	pipe := b.client.TxPipeline()
	var left int64
	var fields []any
	for _, i := range writes {
		w := &b.writes[i]
		left = max(left, b.left(w))
		if of.kind == KindHSet {
			fields = append(fields, w.field, w.value)
			continue
		}
		pipe.XAdd(ctx, &redis.XAddArgs{Stream: of.key, MaxLen: w.maxLen, Approx: true, Values: []any{w.field, w.value}})
	}
	if of.kind == KindHSet {
		pipe.HSet(ctx, of.key, fields...)
	}
	pipe.PExpire(ctx, of.key, time.Duration(left)*time.Millisecond)
	err := execute(ctx, pipe)
	for _, i := range writes {
		b.outcomes[i] = outcomeOf(err)
	}
	b.noteFault(err)
}

func (b *batch) noteFault(err error) {
	if b.fault == nil && outcomeOf(err) != arrived {
		b.fault = err
	}
}
