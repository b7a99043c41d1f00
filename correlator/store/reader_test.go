//go:build linux

package store

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	redistest "fivetuple/examples/redis"
)

func reading(t *testing.T, change func(*Options)) (*Reader, *Meter) {
	t.Helper()
	m := new(Meter)
	c := connect(t, m, change)
	return NewReader(c, m, keysOf("f"), NewClock(c, m, keysOf("f"))), m
}

func TestReadStrings(t *testing.T) {
	s := redistest.Start(t, redistest.Options{ACL: "user default on nopass ~f:* &* +@all\n"})
	r, m := reading(t, single(s))
	var keys []string
	for i := range 2 * readKeys {
		key := fmt.Sprint("f:", i)
		keys = append(keys, key)
		s.Do("SET", key, fmt.Sprint("v", i))
	}
	s.Do("SET", "f:1", strings.Repeat("x", 101))
	s.Do("SET", "f:2", strings.Repeat("x", 100))
	s.Do("DEL", "f:3")
	s.Do("DEL", "f:4")
	s.Do("HSET", "f:4", "a", "b")
	keys = append(keys, "g:1")
	values, err := stringsOf(t, r, keys, 100)
	if err != nil {
		t.Fatal(err)
	}
	for i, value := range values {
		want := fmt.Sprint("v", i)
		switch i {
		case 1, 3, 4, 2 * readKeys:
			want = ""
		case 2:
			want = strings.Repeat("x", 100)
		}
		if string(value) != want {
			t.Errorf("%d: %q, want %q", i, value, want)
		}
	}
	c := m.Counts()
	equal(t, "read, skipped", []any{c.Read, c.Skipped}, fmt.Sprint("[", 2*readKeys-3, " [1 2 0 0 0 0]]"))
	if !c.Up || c.LastError == "" {
		t.Errorf("up: %v, %q", c.Up, c.LastError)
	}
	if _, err := stringsOf(t, r, make([]string, maxKeys+1), 1); !errors.Is(err, ErrTooMany) {
		t.Error(err)
	}
	s.Kill()
	if values, err := stringsOf(t, r, keys, 100); err == nil || len(values) != len(keys) || m.Counts().Up {
		t.Error(len(values), err)
	}
}

// TestReadWithAWrongPassword: what is told to no command is an error all the same.
func TestReadWithAWrongPassword(t *testing.T) {
	s := redistest.Start(t, redistest.Options{ACL: "user default on >secret-of-the-test ~* &* +@all\n"})
	for _, password := range []string{"wrong-secret"} {
		t.Setenv("FIVETUPLE_TEST_PASSWORD", password)
		r, m := reading(t, func(o *Options) { o.Addresses, o.PasswordEnv = []string{s.Address()}, "FIVETUPLE_TEST_PASSWORD" })
		if _, err := stringsOf(t, r, []string{"a", "b"}, 100); err == nil {
			t.Error("no error")
		}
		if c := m.Counts(); c.Up || c.LastError == "" || strings.Contains(c.LastError, "secret") {
			t.Errorf("up: %v, %q", c.Up, c.LastError)
		}
	}
}

func TestReadHashes(t *testing.T) {
	s := redistest.Start(t, redistest.Options{})
	r, m := reading(t, single(s))
	s.Do("HSET", "a", "x", "1", "y", "2")
	s.Do("HSET", "large", "x", make([]byte, 5000))
	s.Do("SET", "string", "1")
	hashes, err := hashesOf(t, r, []string{"a", "large", "string", "none", "a"}, 2000)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "hashes", hashes, "[map[x:[49] y:[50]] map[] map[] map[] map[x:[49] y:[50]]]")
	equal(t, "read, skipped", []any{m.Counts().Read, m.Counts().Skipped}, "[4 [1 1 0 0 0 0]]")
	if received := m.Counts().BytesReceived; received > 1000 {
		t.Errorf("%d bytes were sent for what is too large", received)
	}
}

func TestReadStreams(t *testing.T) {
	s := redistest.Start(t, redistest.Options{})
	r, m := reading(t, single(s))
	for i := 1; i <= 9; i++ {
		s.Do("XADD", "a", fmt.Sprint(i, "-0"), "v", i)
	}
	s.Do("XADD", "a", "10-0", "other", 1)
	s.Do("XADD", "large", "*", "v", make([]byte, 100_000))
	ids := func(from string, count int) (all []string) {
		streams, err := r.Streams(t.Context(), []Position{{"large", ""}, {"a", from}, {"none", ""}}, "v", count, 50_000, MaxValue)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range streams[1] {
			all = append(all, e.ID+"="+string(e.Value))
		}
		equal(t, "large, none", streams[0:1], "[[]]")
		return all
	}
	equal(t, "the last", ids("", 3), "[8-0=8 9-0=9 10-0=]") // which is of another kind
	equal(t, "the next", ids("3-0", 2), "[4-0=4 5-0=5]")
	equal(t, "none after the last", ids("10-0", 2), "[]")
	equal(t, "skipped", m.Counts().Skipped, "[3 1 0 0 0 0]")
}

func TestGateways(t *testing.T) {
	s := redistest.Start(t, redistest.Options{})
	r, m := reading(t, single(s))
	r.roster = new(roster)
	r.roster.hear("heard", time.Now())
	list, now := keysOf("f").Gateways(), time.Now().UnixMilli()
	seen, _, err := r.Gateways(t.Context())
	if err != nil || len(seen) != 1 || seen[0].Gateway != "heard" {
		t.Fatal(seen, err)
	}
	s.Do("ZADD", list, now-50_000, "old", now+1e9, "future", "-inf", "never", now-60_000, "heard", now, "not:a:name", "+inf", "always")
	if seen, _, err = r.Gateways(t.Context()); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, one := range seen {
		names = append(names, one.Gateway)
		if one.At > r.clock.Now() || one.At < 0 {
			t.Error(one)
		}
	}
	equal(t, "the oldest", names[3:], "[old never]")
	equal(t, "gateways, skipped", []any{m.Counts().Gateways, m.Counts().Skipped}, "[5 [0 1 0 0 0 0]]")

	s.Do("DEL", list)
	for i := range MaxGateways + 100 {
		s.Admin().ZAdd(t.Context(), list, redis.Z{Score: float64(i), Member: fmt.Sprint("g", i)})
	}
	if seen, _, err = r.Gateways(t.Context()); err != nil || len(seen) != MaxGateways || seen[0].Gateway != "heard" {
		t.Error(len(seen), seen[0], err)
	}
	s.Do("ZADD", list, now, make([]byte, maxListBytes))
	if seen, _, err = r.Gateways(t.Context()); err != nil || len(seen) != 1 {
		t.Error(len(seen), err)
	}
	s.Do("DEL", list)
	s.Do("SET", list, "a string")
	if seen, _, err = r.Gateways(t.Context()); err != nil || len(seen) != 1 {
		t.Error(len(seen), err)
	}
}
