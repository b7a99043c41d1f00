//go:build linux

package store

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	redistest "fivetuple/examples/redis"
)

// text is a log that is read while it is written.
type text struct {
	mu sync.Mutex
	b  strings.Builder
}

func (t *text) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.Write(p)
}

func (t *text) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.String()
}

// flooded is a server with little memory, the shipped users, and what is measured by the shipped one.
func flooded(t *testing.T, policy string, isKept bool) (server *redistest.Server, log *text) {
	t.Helper()
	keeper, err := os.ReadFile("../../conf/redis/keeper.acl")
	if err != nil {
		t.Fatal(err)
	}
	server = redistest.Start(t, redistest.Options{
		ACL:    shippedUsers(t) + redistest.WithPassword(string(keeper), "keeper"),
		Config: []string{"maxmemory 64mb", "maxmemory-policy " + policy, "proto-max-bulk-len 1mb"},
	})
	log = new(text)
	if isKept {
		m := new(Meter)
		running(t, NewQuota(as(t, server, "keeper", m), m, zerolog.New(log)).Run)
	}
	return server, log
}

// floods are what a member may do with the shipped ACL; each has a number, and writes 16 KiB.
func floods(ctx context.Context) map[string]func(p redis.Pipeliner, i int) {
	k, value := keysOf("f"), make([]byte, 16<<10)
	key := func(i int) string { return k.Figures("a", 300, int64(i)) }
	return map[string]func(p redis.Pipeliner, i int){
		"keys that live for ever":  func(p redis.Pipeliner, i int) { p.Set(ctx, key(i), value, 0) },
		"keys that live for a day": func(p redis.Pipeliner, i int) { p.Set(ctx, key(i), value, 24*time.Hour) },
		"a hash":                   func(p redis.Pipeliner, i int) { p.HSet(ctx, key(0), fmt.Sprint(i), value) },
		"a stream": func(p redis.Pipeliner, i int) {
			p.XAdd(ctx, &redis.XAddArgs{Stream: k.Events("a"), Values: []any{"event", value}})
		},
		"a hash with one small field": func(p redis.Pipeliner, i int) {
			if p.HSet(ctx, key(0), fmt.Sprint("small-", i), "x"); i%64 == 0 {
				p.HSet(ctx, key(0), fmt.Sprint(i), make([]byte, 1<<20))
			}
		},
		"the list of gateways": func(p redis.Pipeliner, i int) {
			p.ZAdd(ctx, k.Gateways(), redis.Z{Score: 1, Member: fmt.Sprint(i, string(value))})
		},
	}
}

// flood writes what is five times the memory of the server, in pipelines, and returns how many were refused.
func flood(ctx context.Context, c redis.UniversalClient, one func(p redis.Pipeliner, i int)) (refused int) {
	const all, atOnce = 20_000, 64
	for i := 0; i < all; i += atOnce {
		cmds, _ := c.Pipelined(ctx, func(p redis.Pipeliner) error {
			for j := range atOnce {
				one(p, i+j)
			}
			return nil
		})
		for _, cmd := range cmds {
			if cmd.Err() != nil {
				refused++
			}
		}
	}
	return refused
}

// learned are the keys of what gateway b has learned, which it wrote once.
func learned(t *testing.T, server *redistest.Server) (keys []string) {
	t.Helper()
	k, b := keysOf("f"), as(t, server, "b", new(Meter))
	for i := range 200 {
		key := k.Figures("b", 300, int64(i))
		keys = append(keys, key)
		if err := b.Set(t.Context(), key, make([]byte, 10_000), 2*time.Hour).Err(); err != nil {
			t.Fatal(err)
		}
	}
	return keys
}

// TestAMemberStarvesNobody: gateway a floods the server with all that the shipped ACL permits, as fast as it can. What b has learned is all
// there, and its writes arrive, during the flood or right after it.
func TestAMemberStarvesNobody(t *testing.T) {
	for name, one := range floods(t.Context()) {
		t.Run(name, func(t *testing.T) {
			server, log := flooded(t, "noeviction", true)
			keys := learned(t, server)
			m := new(Meter)
			w := NewWriter(as(t, server, "b", m), m, maxQueue)
			running(t, w.Run)
			over := make(chan int)
			hostile := as(t, server, "a", new(Meter))
			go func() { over <- flood(t.Context(), hostile, one) }()
			writes := 0
			var refused int
			for wait := true; wait; writes++ {
				w.Set(keysOf("f").Flags("b"), fmt.Appendf(nil, "flags %d", writes), time.Minute)
				select {
				case refused = <-over:
					wait = false
				case <-time.After(5 * time.Millisecond):
				}
			}
			flush(t, w)
			if n := server.Do(exists(keys)...); n != int64(len(keys)) {
				t.Errorf("%v of %d keys of b are there", n, len(keys))
			}
			if got := server.Do("GET", keysOf("f").Flags("b")); got != fmt.Sprintf("flags %d", writes-1) {
				t.Errorf("the last value of b is %v", got)
			}
			redistest.Await(t, "memory", func() bool { return usedOf(t, server) < 48<<20 })
			t.Logf("%d of the flood's writes were refused; b: %d writes, %d retries; %s", refused, writes, m.Counts().Retried, lastLine(log.String()))
			text := log.String()
			if name != "the list of gateways" && !strings.Contains(text, `"gateway":"a"`) || strings.Contains(text, `"gateway":"b"`) {
				t.Errorf("log:\n%s", text)
			}
			isForever := name != "the list of gateways" && name != "keys that live for a day" // nobody knows whose names are on the list
			if err := hostile.Ping(t.Context()).Err(); isForever && err == nil {
				t.Error("a is not cut off")
			}
		})
	}
}

func exists(texts []string) []any {
	all := []any{"EXISTS"}
	for _, text := range texts {
		all = append(all, text)
	}
	return all
}

func usedOf(t *testing.T, server *redistest.Server) (used int) {
	t.Helper()
	text, err := server.Admin().Info(t.Context(), "memory").Result()
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(text, "used_memory:")
	_, _ = fmt.Sscan(after, &used)
	return used
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// TestNoPolicyTellsMembersApart is why the shipped policy is noeviction, with `fivetuple quota`: by each policy alone a flood evicts what
// another gateway has learned, or has its writes refused.
func TestNoPolicyTellsMembersApart(t *testing.T) {
	for _, policy := range []string{"noeviction", "volatile-lru", "volatile-ttl", "volatile-lfu", "volatile-random", "allkeys-lru", "allkeys-lfu", "allkeys-random"} {
		for _, kind := range []string{"keys that live for ever", "keys that live for a day"} {
			server, _ := flooded(t, policy, false)
			keys := learned(t, server)
			flood(t.Context(), as(t, server, "a", new(Meter)), floods(t.Context())[kind])
			there := server.Do(exists(keys)...)
			err := as(t, server, "b", new(Meter)).Set(t.Context(), keysOf("f").Flags("b"), make([]byte, 100_000), time.Minute).Err()
			t.Logf("%s, %s: %v of %d keys of b are there, its next write: %v", policy, kind, there, len(keys), err)
			if there == int64(len(keys)) && err == nil {
				t.Errorf("%s alone holds against %s", policy, kind)
			}
		}
	}
}
