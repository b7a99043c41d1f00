//go:build linux

package share_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"fivetuple/correlator/fleet"
	redistest "fivetuple/examples/redis"
	"fivetuple/runner/share"
)

// numbered is an event that is told apart by its route.
func numbered(i int) fleet.Event { return fleet.Event{Kind: fleet.KindCall, Route: fmt.Sprint(i)} }

// read returns what `fivetuple events` reads: gateways with routes, and the ids.
func read(t testing.TB, l *share.Look, since time.Duration, gateway string) (all, ids []string) {
	t.Helper()
	err := l.Events(t.Context(), since, gateway, false, func(gateway, id string, value []byte) error {
		e, err := fleet.DecodeEvent(value)
		if err != nil {
			e.Route = "damaged"
		}
		all, ids = append(all, gateway+"/"+e.Route), append(ids, id)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all, ids
}

// inOrder says whether ids are in the order of their time.
func inOrder(ids []string) bool {
	return slices.IsSortedFunc(ids, func(a, b string) int {
		var x, y [2]uint64
		_, _ = fmt.Sscanf(a, "%d-%d", &x[0], &x[1])
		_, _ = fmt.Sscanf(b, "%d-%d", &y[0], &y[1])
		return slices.Compare(x[:], y[:])
	})
}

// add adds an entry to a gateway's stream, as somebody who may; id is milliseconds-number, or "*".
func add(t testing.TB, c redis.UniversalClient, gateway, id string, values ...any) {
	t.Helper()
	key := fleet.NewKeys("test", false).Events(gateway)
	if err := c.XAdd(t.Context(), &redis.XAddArgs{Stream: key, ID: id, Values: values}).Err(); err != nil {
		t.Fatal(err)
	}
}

func encoded(t testing.TB, e fleet.Event) string {
	t.Helper()
	value, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return string(value)
}

// TestEventsOfAllGatewaysInOrder: by their time, each once, also where there are more than are read at a time, of one of them more
// than of others.
func TestEventsOfAllGatewaysInOrder(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Options{})
	s := in(server.Address())
	l := lookAt(t, s.of("people"))
	counts := map[string]int{"gw-a": 3500, "gw-b": 1200, "gw-c": 3}
	gateways := map[string]*gateway{}
	for name := range counts {
		gateways[name] = join(t, s.of(name))
	}
	want := 0
	for i := range 3500 {
		for name, n := range counts {
			if i < n {
				gateways[name].Event(numbered(i))
				want++
			}
		}
		if i%100 == 99 { // the queue takes so many
			for _, g := range gateways {
				g.await("events that are sent", func() bool { return g.Counts().Waiting == 0 })
			}
		}
	}
	for _, g := range gateways {
		g.await("events that are sent", func() bool { return g.Counts().Waiting == 0 })
	}
	all, ids := read(t, l, time.Hour, "")
	if len(all) != want || !inOrder(ids) {
		t.Errorf("%d events, want %d; in order: %v", len(all), want, inOrder(ids))
	}
	next := map[string]int{}
	for _, one := range all {
		name, route, _ := strings.Cut(one, "/")
		if route != fmt.Sprint(next[name]) {
			t.Fatalf("%s, want the event %d", one, next[name])
		}
		next[name]++
	}
	if some, _ := read(t, l, time.Hour, "gw-b"); len(some) != 1200 || some[0] != "gw-b/0" {
		t.Errorf("%d events of gw-b", len(some))
	}
}

// TestEventsSince: by Redis' clock, from so long ago on.
func TestEventsSince(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Options{})
	s := in(server.Address())
	l := lookAt(t, s.of("people"))
	now := l.Now()
	for i, ago := range []time.Duration{3 * time.Hour, 2 * time.Hour, time.Hour, time.Minute} {
		add(t, server.Admin(), "gw-a", fmt.Sprintf("%d-1", now.Add(-ago).UnixMilli()), fleet.EventField, encoded(t, numbered(i)))
	}
	a := join(t, s.of("gw-a"))
	a.Event(numbered(4))
	a.await("an event that is sent", func() bool { all, _ := read(t, l, 10*time.Second, "gw-a"); return len(all) == 1 })
	for since, want := range map[time.Duration]string{
		24 * time.Hour: "[gw-a/0 gw-a/1 gw-a/2 gw-a/3 gw-a/4]", 150 * time.Minute: "[gw-a/1 gw-a/2 gw-a/3 gw-a/4]",
		90 * time.Minute: "[gw-a/2 gw-a/3 gw-a/4]", 30 * time.Minute: "[gw-a/3 gw-a/4]", 30 * time.Second: "[gw-a/4]",
	} {
		if all, _ := read(t, l, since, ""); fmt.Sprint(all) != want {
			t.Errorf("since %v: %v, want %s", since, all, want)
		}
	}
}

// TestEventsAreFollowed: what is added comes, also of a gateway that joins later, each once, until the end, which is no error.
func TestEventsAreFollowed(t *testing.T) {
	t.Parallel()
	s := in(redistest.Start(t, redistest.Options{}).Address())
	a := join(t, s.of("gw-a"))
	a.Event(numbered(0))
	l := lookAt(t, s.of("people"))
	a.await("an event that is sent", func() bool { all, _ := read(t, l, time.Hour, ""); return len(all) == 1 })
	ctx, cancel := context.WithCancel(t.Context())
	got, ended := make(chan string, 100), make(chan error, 1)
	go func() {
		ended <- l.Events(ctx, time.Hour, "", true, func(gateway, _ string, value []byte) error {
			e, err := fleet.DecodeEvent(value)
			got <- gateway + "/" + e.Route
			return err
		})
	}()
	next := func(want string) {
		t.Helper()
		select {
		case is := <-got:
			if is != want {
				t.Errorf("%s, want %s", is, want)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("no %s", want)
		}
	}
	next("gw-a/0")
	a.Event(numbered(1))
	next("gw-a/1")
	b := join(t, s.of("gw-b"))
	b.Event(numbered(2))
	next("gw-b/2")
	a.Event(numbered(3))
	next("gw-a/3")
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if len(got) != 0 {
		t.Errorf("%d events more, like %s", len(got), <-got)
	}
}

// TestForeignEntriesHideNothing: entries that are no events, fewer or more than are read at a time, keep nobody from reading what is
// behind them, and are handed over, too, to be named.
func TestForeignEntriesHideNothing(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Options{})
	s := in(server.Address())
	l := lookAt(t, s.of("people"))
	a := join(t, s.of("gw-a"))
	pipe := server.Admin().Pipeline()
	key := fleet.NewKeys("test", false).Events("gw-b")
	for i := range 5000 { // of every ten one is foreign, and then there are 2,500 of those
		values := []any{fleet.EventField, encoded(t, numbered(i))}
		if i%10 == 0 || i >= 1500 && i < 4000 {
			values = []any{"other", "x"}
		}
		if i == 1234 {
			values = []any{fleet.EventField, "no event"}
		}
		pipe.XAdd(t.Context(), &redis.XAddArgs{Stream: key, Values: values})
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Millisecond) // events of one millisecond come in the order of their gateways
	a.Event(numbered(5000))
	a.await("the event that was sent last", func() bool { some, _ := read(t, l, time.Hour, "gw-a"); return len(some) == 1 })
	for _, gateway := range []string{"", "gw-b"} {
		want := []string{}
		for i := range 5000 {
			if i == 1234 || i%10 == 0 || i >= 1500 && i < 4000 {
				want = append(want, "gw-b/damaged")
			} else {
				want = append(want, fmt.Sprintf("gw-b/%d", i))
			}
		}
		if gateway == "" {
			want = append(want, "gw-a/5000")
			addMember(t, server, "gw-b")
		}
		if all, ids := read(t, l, time.Hour, gateway); !slices.Equal(all, want) || !inOrder(ids) {
			t.Errorf("of %q: %d events, want %d; the last is %v", gateway, len(all), len(want), all[max(len(all)-1, 0):])
		}
	}
}

// addMember puts a name on the list of gateways.
func addMember(t testing.TB, server *redistest.Server, gateway string) {
	t.Helper()
	server.Do("ZADD", fleet.NewKeys("test", false).Gateways(), time.Now().UnixMilli(), gateway)
}
