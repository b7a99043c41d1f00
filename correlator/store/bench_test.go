//go:build linux

package store

import (
	"fmt"
	"testing"
	"time"

	redistest "fivetuple/examples/redis"

	"fivetuple/correlator/baseline"
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

// BenchmarkRoutes is what 1,000 routes of one gateway cost: a window of 1,500 bytes and the figures of 1,000 for each.
func BenchmarkRoutes(b *testing.B) {
	s := redistest.Start(b, redistest.Options{})
	m := new(Meter)
	w := NewWriter(connect(b, m, single(s)), m, 4096)
	running(b, w.Run)
	k, window, figures := keysOf("fleet"), make([]byte, 1500), make([]byte, 1000)
	const routes = 1000
	before := m.Counts()
	for i := int64(0); b.Loop(); i++ {
		for route := range routes {
			name := fmt.Sprint("route-", route)
			w.Set(k.Baseline("gateway-1", i, baseline.Key{Route: name, Method: "GET"}), window, time.Hour)
			w.HSet(k.Figures("gateway-1", 300, i), name, figures, time.Hour)
		}
		flush(b, w)
	}
	after, n := m.Counts(), float64(b.N*routes)
	b.ReportMetric(float64(after.Commands-before.Commands)/n, "commands/route")
	b.ReportMetric(float64(after.BytesSent-before.BytesSent)/n, "bytes/route")
	b.ReportMetric(float64(after.BytesReceived-before.BytesReceived)/n, "bytes-back/route")
}
