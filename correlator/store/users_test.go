//go:build linux

package store

import (
	"os"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	redistest "fivetuple/examples/redis"

	"fivetuple/correlator/baseline"
)

// shippedUsers are those of conf/redis/fivetuple.acl, in the fleet f, with their names as passwords: the gateways a and b, and people.
func shippedUsers(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../conf/redis/fivetuple.acl")
	if err != nil {
		t.Fatal(err)
	}
	return redistest.Users(string(text), "f", "a", "b")
}

func as(t *testing.T, s *redistest.Server, name string, m *Meter) redis.UniversalClient {
	t.Helper()
	t.Setenv("FIVETUPLE_TEST_"+name, name)
	return connect(t, m, func(o *Options) {
		o.Addresses, o.Username, o.PasswordEnv = []string{s.Address()}, name, "FIVETUPLE_TEST_"+name
	})
}

// TestShippedUsersSuffice: everything that is done here is allowed, and nothing that another gateway has may be written.
func TestShippedUsersSuffice(t *testing.T) {
	s := redistest.Start(t, redistest.Options{ACL: shippedUsers(t)})
	k := keysOf("f")
	links := map[string]*Link{}
	for _, name := range []string{"a", "b"} {
		m := new(Meter)
		links[name] = link(t, name, as(t, s, name, m), m, func(*Link) {})
	}
	a, b := links["a"], links["b"]
	window := k.Baseline("a", 1, baseline.Key{Route: "r", Method: "GET"})
	a.Writer.Set(window, []byte("1"), time.Minute)
	a.Writer.HSet(k.Figures("a", 300, 1), "r", []byte("1"), time.Minute)
	a.Writer.XAdd(k.Events("a"), 10, "v", []byte("1"), time.Minute)
	a.Writer.Publish(k.Channel("a"), []byte("1"), time.Minute)
	equal(t, "heard", hear(t, b.Subscriber), "{a [49]}")
	flush(t, a.Writer)
	m := new(Meter)
	people := as(t, s, "people", m)
	for _, r := range []*Reader{b.Reader, NewReader(people, m, k, NewClock(people, m, k))} {
		texts, err := stringsOf(t, r, []string{window}, 10)
		equal(t, "a window", []any{texts, err}, "[[[49]] <nil>]")
		hashes, err := hashesOf(t, r, []string{k.Figures("a", 300, 1)}, 1000)
		equal(t, "figures", []any{hashes, err}, "[[map[r:[49]]] <nil>]")
		streams, err := r.Streams(t.Context(), []Position{{k.Events("a"), ""}}, "v", 10, 10_000, MaxValue)
		if err != nil || len(streams[0]) != 1 {
			t.Error(streams, err)
		}
		streams, err = r.Streams(t.Context(), []Position{{k.Events("a"), "0-1"}}, "v", 10, 10_000, MaxValue)
		if err != nil || len(streams[0]) != 1 {
			t.Error(streams, err)
		}
		if err := r.clock.Ask(t.Context()); err != nil {
			t.Error(err)
		}
		redistest.Await(t, "both in the list", func() bool {
			seen, _, err := r.Gateways(t.Context())
			return err == nil && len(seen) == 2
		})
		equal(t, "skipped", r.meter.Counts().Skipped, "[0 0 0 0 0 0]")
	}
	for _, l := range links {
		redistest.Await(t, "a known clock", func() bool { return l.Counts().ClockKnown })
		equal(t, "error", l.Counts().LastError, "")
	}

	b.Writer.Set(k.Who("a"), []byte("b"), time.Minute)
	b.Writer.HSet(k.Figures("a", 300, 1), "r", []byte("2"), time.Minute)
	b.Writer.XAdd(k.Events("a"), 10, "v", []byte("2"), time.Minute)
	b.Writer.Publish(k.Channel("a"), []byte("2"), time.Minute)
	b.Writer.Set(k.Flags("b"), []byte("mine"), time.Minute)
	flush(t, b.Writer)
	c := b.Counts()
	equal(t, "refused, sent", []any{c.Refused, c.Sent}, "[[1 1 1 1] 1]")
}
