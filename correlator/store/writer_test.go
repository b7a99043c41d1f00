//go:build linux

package store

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	redistest "fivetuple/examples/redis"
)

func TestWrites(t *testing.T) {
	s := redistest.Start(t, redistest.Options{})
	w, m := writing(t, single(s))
	a := s.Admin()
	sub := a.Subscribe(t.Context(), "c")
	defer closed(sub)
	if _, err := sub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.Set("s", []byte("1"), time.Minute)
	w.Set("long", []byte("1"), 100*time.Hour)
	for i := range maxPublished {
		w.Publish("c", []byte(fmt.Sprint(i)), time.Second*30)
	}
	for i := range 1000 {
		w.HSet("h", fmt.Sprint(i%500), []byte(fmt.Sprint(i)), time.Hour)
		w.XAdd("x", 100, "v", []byte(fmt.Sprint(i)), time.Hour)
	}
	for i := range maxPublished {
		if msg, err := sub.ReceiveMessage(t.Context()); err != nil || msg.Payload != fmt.Sprint(i) {
			t.Fatalf("message %d: %v, %v", i, msg, err)
		}
	}
	flush(t, w)
	equal(t, "keys", ttls(t, s), "[h long s x]")
	if left := a.PTTL(t.Context(), "s").Val(); left > time.Minute || left < 50*time.Second {
		t.Errorf("lives for %v", left)
	}
	equal(t, "fields", a.HLen(t.Context(), "h").Val(), 500)
	equal(t, "a field", a.HGet(t.Context(), "h", "7").Val(), 507)
	if n := a.XLen(t.Context(), "x").Val(); n < 100 || n > 300 {
		t.Errorf("%d entries of a stream of 100", n)
	}
	last := a.XRevRangeN(t.Context(), "x", "+", "-", 1).Val()
	equal(t, "the last entry", last[0].Values, "map[v:999]")
	c := m.Counts()
	if c.Sent+c.Replaced < 2002+maxPublished || // more, where one was replaced while it was being sent
		c.Sent > 2002+maxPublished || c.Dropped+c.Expired+c.Retried != 0 || !c.Up || c.LastError != "" {
		t.Errorf("%+v", c)
	}
	if c.Commands == 0 || c.BytesSent < 10_000 || c.BytesReceived < 1000 || c.Dialled == 0 || c.Commands > 3000 {
		t.Errorf("traffic: %+v", c)
	}
}

func TestWriterRefusesWhatCannotBe(t *testing.T) {
	s := redistest.Start(t, redistest.Options{ACL: "user default on nopass ~own:* &own:* +@all -xadd\n"})
	w, m := writing(t, single(s))
	s.Do("SET", "own:s", "1")
	w.Set("own:big", make([]byte, MaxValue+1), time.Minute)
	w.Set("own:forever", nil, 0)
	w.Set("foreign", []byte("1"), time.Minute)
	w.HSet("own:s", "f", nil, time.Minute)
	w.XAdd("own:x", 10, "v", nil, time.Minute)
	w.Publish("foreign", nil, time.Minute)
	w.HSet("own:h", "f", nil, time.Minute)
	w.Set("own:good", make([]byte, MaxValue), time.Minute)
	flush(t, w)
	c := m.Counts()
	equal(t, "refused", c.Refused, "[3 1 1 1]")
	equal(t, "sent", c.Sent, 2)
	if !c.Up || !strings.Contains(c.LastError, "NOPERM") || c.LastAt.IsZero() {
		t.Errorf("up: %v, %q", c.Up, c.LastError)
	}
	equal(t, "retried", c.Retried, 0)
}

// TestWriterNeverWaits writes to a server that is stopped, and to none at all.
func TestWriterNeverWaits(t *testing.T) {
	s := redistest.Start(t, redistest.Options{})
	w, m := writing(t, single(s))
	w.Set("first", nil, time.Hour)
	flush(t, w)
	s.Stall()
	started := time.Now()
	const n = 100_000
	for i := range n {
		w.XAdd("x", 10, "v", []byte(fmt.Sprint(i)), time.Hour)
	}
	took := time.Since(started)
	c := m.Counts()
	if c.Waiting != maxQueue || c.Dropped != n-maxQueue {
		t.Errorf("%d wait, %d dropped", c.Waiting, c.Dropped)
	}
	redistest.Await(t, "an error", func() bool { c := m.Counts(); return !c.Up && c.LastError != "" && c.Retried > 0 })
	s.Continue()
	flush(t, w)
	redistest.Await(t, "being up", func() bool { return m.Counts().Up })
	t.Logf("%d writes took the caller %v; the last error: %s", n, took, m.Counts().LastError)
}

func TestWriterHeals(t *testing.T) {
	for name, faults := range map[string]func(s *redistest.Server) (heal func()){
		"killed":       func(s *redistest.Server) func() { s.Kill(); return s.Restart },
		"shut down":    func(s *redistest.Server) func() { s.Shutdown(); return s.Restart },
		"stalled":      func(s *redistest.Server) func() { s.Stall(); return s.Continue },
		"disconnected": func(s *redistest.Server) func() { s.Disconnect(); return func() {} },
		"read-only": func(s *redistest.Server) func() {
			s.Do("REPLICAOF", "127.0.0.1", "1")
			return func() { s.Do("REPLICAOF", "NO", "ONE") }
		},
		"full": func(s *redistest.Server) func() {
			s.Set("maxmemory", "1")
			return func() { s.Set("maxmemory", "0") }
		},
		"another password": func(s *redistest.Server) func() {
			s.SetACL("user default on >other ~* &* +@all\n")
			s.Disconnect()
			return func() { s.SetACL("") }
		},
		"not persistent": func(s *redistest.Server) func() {
			s.Set("min-replicas-to-write", "1")
			return func() { s.Set("min-replicas-to-write", "0") }
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := redistest.Start(t, redistest.Options{})
			w, m := writing(t, single(s))
			w.Set("before", nil, time.Hour)
			flush(t, w)
			heal := faults(s)
			w.Set("s", []byte("1"), time.Hour)
			w.HSet("h", "f", []byte("1"), time.Hour)
			w.XAdd("x", 10, "v", []byte("1"), time.Hour)
			w.Set("late", []byte("1"), time.Millisecond)
			if name != "disconnected" {
				redistest.Await(t, "a try", func() bool { c := m.Counts(); return c.Retried > 0 && !c.Up && c.LastError != "" })
			}
			heal()
			started := time.Now()
			flush(t, w)
			took := time.Since(started)
			equal(t, "values", s.Do("GET", "s").(string)+s.Admin().HGet(t.Context(), "h", "f").Val(), "11")
			if n := s.Admin().XLen(t.Context(), "x").Val(); n < 1 || n > 2 { // its first answer may have been lost
				t.Errorf("%d entries", n)
			}
			ttls(t, s)
			c := m.Counts()
			equal(t, "refused, dropped", []any{c.Refused, c.Dropped}, "[[0 0 0 0] 0]")
			if name != "disconnected" && c.Expired != 1 {
				t.Errorf("%d expired", c.Expired)
			}
			t.Logf("sent after %v; retried %d; %s", took, c.Retried, c.LastError)
		})
	}
}

// TestPublishingPassesWhatWaits: where there is no memory, what is published goes on.
func TestPublishingPassesWhatWaits(t *testing.T) {
	s := redistest.Start(t, redistest.Options{})
	w, m := writing(t, single(s))
	sub := s.Admin().Subscribe(t.Context(), "c")
	defer closed(sub)
	if _, err := sub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.Set("maxmemory", "1")
	for i := range 3 * maxBatch {
		w.Set(fmt.Sprint(i), nil, time.Hour)
	}
	redistest.Await(t, "all tried", func() bool { return m.Counts().Retried >= 3*maxBatch })
	w.Publish("c", []byte("flag"), time.Hour)
	if msg, err := sub.ReceiveTimeout(t.Context(), 10*time.Second); err != nil || msg.(*redis.Message).Payload != "flag" {
		t.Fatal(msg, err)
	}
	redistest.Await(t, "the one that was sent", func() bool { return m.Counts().Sent == 1 })
	if c := m.Counts(); c.Waiting != 3*maxBatch || !strings.HasPrefix(c.LastError, "OOM") {
		t.Errorf("%+v", c)
	}
	s.Set("maxmemory", "0")
	flush(t, w)
}
