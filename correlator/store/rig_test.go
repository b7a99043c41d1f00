//go:build linux

package store

import (
	"context"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	redistest "fivetuple/examples/redis"

	"fivetuple/correlator/fleet"
)

// connect returns a client as a gateway has one; change may change how.
func connect(t testing.TB, m *Meter, change func(*Options)) redis.UniversalClient {
	t.Helper()
	o := Default()
	change(&o)
	c, err := Dial(o, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	m.Attach(c)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func single(s *redistest.Server) func(*Options) {
	return func(o *Options) { o.Addresses = []string{s.Address()} }
}

// running runs something until the test ends, and waits for it.
func running(t testing.TB, run func(context.Context)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
}

// writing returns a Writer that runs.
func writing(t *testing.T, change func(*Options)) (*Writer, *Meter) {
	t.Helper()
	m := new(Meter)
	w := NewWriter(connect(t, m, change), m, maxQueue)
	running(t, w.Run)
	return w, m
}

func flush(t testing.TB, w *Writer) {
	t.Helper()
	redistest.Await(t, "an empty queue", func() bool { return w.meter.Counts().Waiting == 0 })
}

func keysOf(name string) fleet.Keys { return fleet.NewKeys(name, false) }

// linked returns a gateway of the fleet f that runs and is subscribed.
func linked(t *testing.T, gateway string, change func(*Options)) *Link {
	t.Helper()
	m := new(Meter)
	return link(t, gateway, connect(t, m, change), m, func(*Link) {})
}

func link(t *testing.T, gateway string, c redis.UniversalClient, m *Meter, adapt func(*Link)) *Link {
	t.Helper()
	instance := gateway + fmt.Sprint(time.Now().UnixNano())
	l := NewLink(c, m, Settings{
		Keys: keysOf("f"), Gateway: gateway, Queue: 4096,
		Who: Who{
			Value:  func() []byte { return []byte(instance) },
			IsOurs: func(v []byte) bool { return string(v) == instance },
		},
	})
	l.Presence.lostEvery = 0
	adapt(l)
	running(t, l.Run)
	running(t, l.Presence.Run)
	token(t, "the subscription", l.Subscriber.Again())
	return l
}

// ttls asks each server for all keys and fails if one of them could live for ever, or longer than a day.
func ttls(t *testing.T, servers ...*redistest.Server) (keys []string) {
	t.Helper()
	for _, s := range servers {
		some, err := s.Admin().Keys(t.Context(), "*").Result()
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range some {
			left, err := s.Admin().PTTL(t.Context(), key).Result()
			if err != nil || left == -1 || left > MaxTTL {
				t.Errorf("%s lives for %v, %v", key, left, err)
			}
		}
		keys = append(keys, some...)
	}
	slices.Sort(keys)
	return keys
}

// stringsOf returns the strings under some keys, in their order.
func stringsOf(t *testing.T, r *Reader, keys []string, most int) ([][]byte, error) {
	t.Helper()
	values := make([][]byte, len(keys))
	err := r.Strings(t.Context(), keys, most, func(i int, value []byte) { values[i] = value })
	return values, err
}

// hashesOf returns the hashes under some keys, in their order.
func hashesOf(t *testing.T, r *Reader, keys []string, most int64) ([]map[string][]byte, error) {
	t.Helper()
	hashes := make([]map[string][]byte, len(keys))
	err := r.Hashes(t.Context(), keys, most, func(i int, fields map[string][]byte) { hashes[i] = fields })
	return hashes, err
}

func closed(c io.Closer) { _ = c.Close() }
