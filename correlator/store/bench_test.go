//go:build linux

package store

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkTake is for how long a caller may be held up: a full queue of writes that were all put off.
func BenchmarkTake(b *testing.B) {
	now := time.Now()
	q := newQueue(maxQueue, new(Meter))
	for i := range maxQueue {
		q.put(set(fmt.Sprint(i), "v", now.Add(time.Hour)))
	}
	for {
		batch, _ := q.take(now)
		if len(batch) == 0 {
			break
		}
		all := make([]outcome, len(batch))
		for i := range all {
			all[i] = notNow
		}
		q.settle(now, batch, all, func(int) time.Duration { return maxBackoff })
	}
	for b.Loop() {
		q.put(&write{name: name{KindPublish, "c", ""}, until: now.Add(time.Hour)})
		batch, _ := q.take(now)
		q.settle(now, batch, make([]outcome, len(batch)), backoff)
	}
}

// BenchmarkSet is what a write costs its caller.
func BenchmarkSet(b *testing.B) {
	w := NewWriter(nil, new(Meter), 4096)
	keys := make([]string, 5000)
	for i := range keys {
		keys[i] = fmt.Sprint("fivetuple:{fleet}:gw:gateway:baseline:1234567:GET:route-", i)
	}
	value := make([]byte, 1000)
	for i := 0; b.Loop(); i++ {
		w.Set(keys[i%len(keys)], value, time.Hour)
	}
}
