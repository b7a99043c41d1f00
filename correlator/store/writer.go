package store

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Writer sends writes to Redis, from a bounded queue. Its methods never wait and take over what they are given. A write is
// tried again, after 100 ms to 5 s, until it arrives, is refused for good, lives out, or the queue is full and it is the oldest; each is counted.
//
// What is published has a short queue of its own, and does not wait for the rest: a large batch, a node of a Cluster that hangs.
type Writer struct {
	client            redis.UniversalClient
	meter             *Meter
	values, published *queue
}

// maxPublished is how many messages wait to be published.
const maxPublished = 1024

// NewWriter returns a Writer with a queue of so many writes (Options.Queue), and 32 MiB.
func NewWriter(client redis.UniversalClient, m *Meter, queue int) *Writer {
	most := min(max(queue, minQueue), maxQueue)
	return &Writer{client: client, meter: m, values: newQueue(most, m), published: newQueue(min(most, maxPublished), m)}
}

// Set writes a string that lives for ttl, at most MaxTTL.
func (w *Writer) Set(key string, value []byte, ttl time.Duration) {
	w.put(&write{name: name{KindSet, key, ""}, value: value}, ttl)
}

// HSet writes a field of a hash, which lives for ttl from its last field on.
func (w *Writer) HSet(key, field string, value []byte, ttl time.Duration) {
	w.put(&write{name: name{KindHSet, key, field}, value: value}, ttl)
}

// XAdd adds an entry with one field to a stream, which keeps about maxLen entries and lives for ttl from its last entry on.
func (w *Writer) XAdd(key string, maxLen int64, field string, value []byte, ttl time.Duration) {
	w.put(&write{name: name{KindXAdd, key, field}, value: value, maxLen: max(maxLen, 1)}, ttl)
}

// Publish publishes on a channel, unless it could not for ttl.
func (w *Writer) Publish(channel string, payload []byte, ttl time.Duration) {
	w.put(&write{name: name{KindPublish, channel, ""}, value: payload}, ttl)
}

func (w *Writer) put(one *write, ttl time.Duration) {
	if len(one.value) > MaxValue || ttl <= 0 {
		w.meter.refused[one.kind].Add(1)
		return
	}
	one.until = time.Now().Add(min(ttl, MaxTTL))
	if one.kind == KindPublish {
		w.published.put(one)
	} else {
		w.values.put(one)
	}
}

// Run sends until the context is done.
func (w *Writer) Run(ctx context.Context) {
	var both sync.WaitGroup
	for _, q := range []*queue{w.values, w.published} {
		both.Go(func() { w.meter.Survive(ctx, func(ctx context.Context) { w.run(ctx, q) }) })
	}
	both.Wait()
}

func (w *Writer) run(ctx context.Context, q *queue) {
	for tries := 0; ctx.Err() == nil; {
		batch, wait := q.take(time.Now())
		if len(batch) == 0 {
			q.idle(ctx, wait)
			continue
		}
		if w.send(ctx, q, batch) {
			tries = 0
			continue
		}
		tries++
		pause(ctx, backoff(tries))
	}
}

// send sends a batch, and says whether it got anywhere: if not, all of it is tried again at once.
func (w *Writer) send(ctx context.Context, q *queue, batch []sending) bool {
	outcomes, fault := send(ctx, w.client, time.Now(), batch)
	isDone := false
	for _, o := range outcomes {
		isDone = isDone || o != notNow
	}
	isDone = isDone || redis.IsOOMError(fault) // which concerns this write, and not what is published
	if !isDone {
		for i := range outcomes {
			outcomes[i] = unspoken
		}
	}
	q.settle(time.Now(), batch, outcomes, backoff)
	w.meter.answered(fault)
	return isDone
}

// Flush waits until nothing waits, or the context is done. For the end of a process: Run has to be running.
func (w *Writer) Flush(ctx context.Context) error {
	for w.meter.waiting.Load() > 0 {
		if !pause(ctx, minBackoff/10) {
			return ctx.Err()
		}
	}
	return nil
}
