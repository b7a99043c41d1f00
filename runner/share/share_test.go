package share

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"fivetuple/correlator/baseline"
	"fivetuple/correlator/fleet"
	redistest "fivetuple/examples/redis"
)

// keysOf returns the kinds of keys that a server has of a gateway.
func keysOf(t *testing.T, s *redistest.Server, gateway string) (kinds []string) {
	t.Helper()
	keys, err := s.Admin().Keys(t.Context(), "fivetuple:*:gw:"+gateway+":*").Result()
	if err != nil {
		return nil
	}
	for _, k := range keys {
		kind, _, _ := strings.Cut(k[strings.Index(k, ":gw:"+gateway+":")+len(":gw:"+gateway+":"):], ":")
		if !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	slices.Sort(kinds)
	return kinds
}

// TestRedisThatLosesAll: what a gateway has told is told anew, without anything new to say.
func TestRedisThatLosesAll(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Options{})
	g := join(t, optionsOf(server.Address(), "gw-a"))
	redistest.Await(t, "Redis' clock", func() bool { return g.Counts().ClockKnown })
	g.learns("orders")
	g.counts("orders")
	all := []string{"baseline", "figures", "flags", "who"}
	redistest.Await(t, "everything that there is to tell", func() bool {
		g.flags(t, "192.0.2.7")
		return slices.Equal(keysOf(t, server, "gw-a"), all)
	})
	server.Kill()
	server.Restart()
	redistest.Await(t, "everything anew", func() bool {
		g.flags(t, "192.0.2.7") // as the table of verdicts is looked at four times a second
		return slices.Equal(keysOf(t, server, "gw-a"), all)
	})
	if c := g.Counts(); c.Lost == 0 || c.Dropped != 0 {
		t.Errorf("%+v", c)
	}
}

// TestTwoGatewaysOfOneName are noticed, and told by an event; one that takes the other's place is not.
func TestTwoGatewaysOfOneName(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Options{})
	first := join(t, optionsOf(server.Address(), "gw-a"))
	redistest.Await(t, "the first", func() bool { return slices.Contains(keysOf(t, server, "gw-a"), "who") })
	first.leave()
	successor := join(t, optionsOf(server.Address(), "gw-a"))
	began := time.Now()
	redistest.Await(t, "its third beat", func() bool { return time.Since(began) > 11*time.Second })
	if c := successor.Counts(); c.NamesakeThere || c.Namesakes != 0 {
		t.Errorf("a successor is a namesake: %+v", c)
	}
	join(t, optionsOf(server.Address(), "gw-a"))
	redistest.Await(t, "a namesake that is noticed, and told", func() bool {
		return successor.Counts().NamesakeThere && slices.Contains(keysOf(t, server, "gw-a"), "events")
	})
	events := look(t, server).all(t, time.Minute)
	if len(events) == 0 || !strings.Contains(events[0], `gw-a {"v":1,"kind":"same-id"`) {
		t.Errorf("events: %q", events)
	}
}

// TestTwoFleets on one Redis know nothing of each other, whatever their gateways and routes are called.
func TestTwoFleets(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Options{})
	other := optionsOf(server.Address(), "gw-b")
	other.Fleet.Name = "other"
	a, b := join(t, optionsOf(server.Address(), "gw-a")), join(t, other)
	redistest.Await(t, "Redis' clock", func() bool { return a.Counts().ClockKnown && b.Counts().ClockKnown })
	a.learns("orders")
	redistest.Await(t, "a flag that is told", func() bool {
		a.flags(t, "192.0.2.7")
		return slices.Contains(keysOf(t, server, "gw-a"), "flags")
	})
	b.baselines.Learn(b.Now(), baseline.Key{Route: "orders", Method: "GET"}, &baseline.Observation{Source: addressOf(1), Values: latencies()})
	c := join(t, optionsOf(server.Address(), "gw-c")) // of the first one's fleet: it is told
	c.baselines.Learn(c.Now(), baseline.Key{Route: "orders", Method: "GET"}, &baseline.Observation{Source: addressOf(1), Values: latencies()})
	usual := func(g *gateway) *baseline.Usual {
		return g.baselines.Usual(baseline.Key{Route: "orders", Method: "GET"})
	}
	redistest.Await(t, "what the fleet knows", func() bool {
		b.baselines.Rotate(b.Now())
		c.baselines.Rotate(c.Now())
		return usual(c).Ready && c.BoardCounts().Sources == 1
	})
	if usual(b).Ready || b.BoardCounts().Heard != 0 || b.Counts().Heard != 0 {
		t.Errorf("the other fleet knows %+v, %+v", usual(b), b.BoardCounts())
	}
}

// looker is a Look, for tests.
type looker struct{ *Look }

func look(t *testing.T, server *redistest.Server) looker {
	t.Helper()
	l, err := NewLook(t.Context(), optionsOf(server.Address(), "people"), zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return looker{l}
}

// all returns the events, GATEWAY VALUE each.
func (l looker) all(t *testing.T, since time.Duration) (events []string) {
	t.Helper()
	err := l.Events(t.Context(), since, "", false, func(gateway, _ string, value []byte) error {
		events = append(events, gateway+" "+string(value))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return events
}

// TestEvents come in the order of their time over all gateways, however many there are, and go on with what is added.
func TestEvents(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Options{})
	a, b := join(t, optionsOf(server.Address(), "gw-a")), join(t, optionsOf(server.Address(), "gw-b"))
	const many = eventsAtOnce*2 + 7
	for n := range many {
		a.Event(fleet.Event{Kind: fleet.KindCall, Route: fmt.Sprint(n)})
		if n%100 == 0 {
			b.Event(fleet.Event{Kind: fleet.KindCall, Route: fmt.Sprint(n)})
		}
	}
	redistest.Await(t, "both gateways' events", func() bool {
		return a.Counts().Waiting+b.Counts().Waiting == 0 && a.Counts().Sent >= many && b.Counts().Sent >= many/100
	})
	l := look(t, server)
	var ids []string
	next := map[string]int{}
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	errLate := errors.New("enough")
	err := l.Events(ctx, time.Hour, "", true, func(gateway, id string, value []byte) error {
		e, err := fleet.DecodeEvent(value)
		if err != nil {
			t.Fatal(err)
		}
		if e.Route == "late" {
			return errLate
		}
		if want := fmt.Sprint(next[gateway]); e.Route != want {
			t.Fatalf("%s: %s, want %s", gateway, e.Route, want)
		}
		next[gateway] += map[string]int{"gw-a": 1, "gw-b": 100}[gateway]
		if ids = append(ids, id); len(ids) == many+many/100+1 {
			join(t, optionsOf(server.Address(), "gw-c")).Event(fleet.Event{Kind: fleet.KindCall, Route: "late"})
		}
		return nil
	})
	if !errors.Is(err, errLate) || len(ids) != many+many/100+1 || !slices.IsSortedFunc(ids, compareIDs) {
		t.Errorf("%d events, in order: %v, %v", len(ids), slices.IsSortedFunc(ids, compareIDs), err)
	}
	if all := l.all(t, time.Hour); len(all) != len(ids)+1 {
		t.Errorf("%d events", len(all))
	}
}

// TestFiguresOfARestart: the process that comes after goes on with what the one before has told.
func TestFiguresOfARestart(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Options{})
	for range 3 {
		g := join(t, optionsOf(server.Address(), "gw-a"))
		redistest.Await(t, "figures of before", func() bool { return g.Counts().Up && g.Counts().ClockKnown })
		time.Sleep(2 * every) // they are read at the next look
		g.counts("orders")
		g.leave()
	}
	hash, err := server.Admin().Keys(t.Context(), "*:figures:3600:*").Result()
	if err != nil || len(hash) == 0 {
		t.Fatal(hash, err)
	}
	var calls uint64
	for _, key := range hash { // an hour may have ended meanwhile
		text, err := server.Admin().HGet(t.Context(), key, "orders").Result()
		if err != nil {
			t.Fatal(err)
		}
		var n uint64
		if _, err := fmt.Sscanf(text, `{"v":1,"calls":%d`, &n); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		calls += n
	}
	if calls != 3 {
		t.Errorf("%d calls, want 3", calls)
	}
}
