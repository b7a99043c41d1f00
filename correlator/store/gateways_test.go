//go:build linux

package store

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	redistest "fivetuple/examples/redis"
)

// proven returns the gateways that are.
func proven(seen []Seen) (names []string) {
	for _, s := range seen {
		if s.IsProven {
			names = append(names, s.Gateway)
		}
	}
	slices.Sort(names)
	return names
}

// TestFalseNamesCrowdNobodyOut: a gateway that puts more names on the list than are known, ahead of all, can't say who they are. Those
// that do come first: a command finds them at once, a gateway by a few looks into each list. Who is known stays so without the list.
func TestFalseNamesCrowdNobodyOut(t *testing.T) {
	server := redistest.Start(t, redistest.Options{ACL: shippedUsers(t)})
	k, m := keysOf("f"), new(Meter)
	link(t, "a", as(t, server, "a", m), m, func(*Link) {})
	hostile, people, counted := as(t, server, "b", new(Meter)), as(t, server, "people", new(Meter)), new(Meter)
	command := NewReader(people, new(Meter), k, NewClock(people, new(Meter), k))
	redistest.Await(t, "a", func() bool {
		seen, _, err := command.Gateways(t.Context())
		return err == nil && fmt.Sprint(proven(seen)) == "[a]"
	})
	if err := hostile.Set(t.Context(), k.Who("false-1"), "b", time.Hour).Err(); !redis.IsPermissionError(err) {
		t.Fatalf("a gateway says who another one is: %v", err)
	}
	pipe := hostile.Pipeline()
	ahead := float64(time.Now().Add(30 * time.Minute).UnixMilli())
	for i := range MaxGateways + 1000 {
		pipe.ZAdd(t.Context(), k.Gateways(), redis.Z{Score: ahead, Member: fmt.Sprint("false-", i)})
	}
	pipe.Set(t.Context(), k.Who("b"), "b", time.Hour)
	pipe.ZAdd(t.Context(), k.Gateways(), redis.Z{Score: 1, Member: "b"})
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	newcomer := as(t, server, "people", counted)
	gateway := NewReader(newcomer, counted, k, NewClock(newcomer, counted, k))
	gateway.checks = checkedAtOnce
	if err := newcomer.Ping(t.Context()).Err(); err != nil { // the commands of a new connection are not counted below
		t.Fatal(err)
	}
	for name, r := range map[string]*Reader{"command": NewReader(people, new(Meter), k, command.clock), "gateway": gateway} {
		looks := 0
		for found := ""; found != "[a b]" && looks < 1000; looks++ {
			before := counted.Counts().Commands
			seen, _, err := r.Gateways(t.Context())
			if err != nil || len(seen) != MaxGateways {
				t.Fatalf("%s: %d gateways, %v", name, len(seen), err)
			}
			all := proven(seen)
			if found = fmt.Sprint(all); fmt.Sprint(proven(seen[:len(all)])) != found {
				t.Errorf("%s: %s are not first", name, found)
			}
			if n := counted.Counts().Commands - before; n > checkedAtOnce+16 {
				t.Errorf("%s: %d commands", name, n)
			}
		}
		t.Logf("%s: %d looks", name, looks)
		if looks == 1000 || name == "command" && looks > 1 {
			t.Errorf("%s: %d looks", name, looks)
		}
	}
	if err := hostile.ZRemRangeByRank(t.Context(), k.Gateways(), 0, -1).Err(); err != nil {
		t.Fatal(err)
	}
	seen, _, err := gateway.Gateways(t.Context())
	if err != nil || fmt.Sprint(proven(seen)) != "[a b]" {
		t.Errorf("without the list: %v, %v", seen, err)
	}
}
