//go:build linux

package conf

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"fivetuple/correlator/baseline"
	"fivetuple/correlator/fleet"
	"fivetuple/correlator/store"
	redistest "fivetuple/examples/redis"
)

// TestUsersOfLinks has two gateways, and a reader as people have one, do all that they do with the shipped rights: nothing is refused.
func TestUsersOfLinks(t *testing.T) {
	for name, mode := range map[string]string{"single": store.ModeSingle, "cluster": store.ModeCluster} {
		t.Run(name, func(t *testing.T) {
			var addresses []string
			if mode == store.ModeCluster {
				addresses = redistest.StartCluster(t, redistest.Options{ACL: users(t)}).Addresses()
			} else {
				addresses = []string{redistest.Start(t, redistest.Options{ACL: users(t)}).Address()}
			}
			k := fleet.NewKeys("f", mode == store.ModeCluster)
			a, b := linked(t, mode, addresses, "a", k), linked(t, mode, addresses, "b", k)
			people := reader(t, mode, addresses, k)
			window := k.Baseline("b", 7, baseline.Key{Route: "r", Method: "GET"})
			b.Writer.Set(k.Flags("b"), []byte("flags"), time.Minute)
			b.Writer.Set(window, []byte("window"), time.Minute)
			b.Writer.HSet(k.Figures("b", 300, 0), "r", []byte("figures"), time.Minute)
			b.Writer.XAdd(k.Events("b"), 100, "v", []byte("event"), time.Minute)
			b.Writer.Publish(k.Channel("b"), []byte("said"), time.Minute)
			if heard := received(t, "what b says", a.Subscriber.Heard()); heard.Gateway != "b" || string(heard.Payload) != "said" {
				t.Errorf("a heard %+v", heard)
			}
			for who, r := range map[string]*store.Reader{"a": a.Reader, "people": people} {
				readAll(t, who, r, k, window)
			}
			for who, l := range map[string]*store.Link{"a": a, "b": b} {
				if c := l.Counts(); c.Refused != ([store.Kinds]uint64{}) || c.Lost+c.Dropped+c.Retried != 0 || c.LastError != "" || !c.ClockKnown {
					t.Errorf("%s: %+v", who, c)
				}
			}
		})
	}
}

// readAll reads what b has written.
func readAll(t *testing.T, who string, r *store.Reader, k fleet.Keys, window string) {
	t.Helper()
	ctx := t.Context()
	redistest.Await(t, "both gateways and b's values, read by "+who, func() bool {
		all, _, err := r.Gateways(ctx)
		if err != nil {
			t.Fatal(err)
		}
		var values [3]string
		err = r.Strings(ctx, []string{k.Flags("b"), window, k.Who("a")}, 1000, func(i int, value []byte) { values[i] = string(value) })
		if err != nil {
			t.Fatal(err)
		}
		var figures string
		err = r.Hashes(ctx, []string{k.Figures("b", 300, 0)}, 1000, func(_ int, fields map[string][]byte) { figures = string(fields["r"]) })
		if err != nil {
			t.Fatal(err)
		}
		streams, err := r.Streams(ctx, []store.Position{{Key: k.Events("b")}}, "v", 10, 10_000, 1000)
		if err != nil {
			t.Fatal(err)
		}
		return len(all) == 2 && values == [3]string{"flags", "window", "a"} && figures == "figures" && len(streams[0]) == 1
	})
}

// linked returns a gateway that runs and is subscribed.
func linked(t *testing.T, mode string, addresses []string, gateway string, k fleet.Keys) *store.Link {
	t.Helper()
	m := new(store.Meter)
	l := store.NewLink(dialed(t, m, mode, addresses, gateway), m, store.Settings{
		Keys: k, Gateway: gateway, Queue: 64,
		Who: store.Who{
			Value:  func() []byte { return []byte(gateway) },
			IsOurs: func(v []byte) bool { return string(v) == gateway },
		},
	})
	ctx, cancel := context.WithCancel(t.Context())
	var parts sync.WaitGroup
	parts.Go(func() { l.Run(ctx) })
	parts.Go(func() { l.Presence.Run(ctx) })
	t.Cleanup(func() { cancel(); parts.Wait() })
	received(t, "the subscription", l.Subscriber.Again())
	return l
}

func reader(t *testing.T, mode string, addresses []string, k fleet.Keys) *store.Reader {
	t.Helper()
	m := new(store.Meter)
	client := dialed(t, m, mode, addresses, "people")
	return store.NewReader(client, m, k, store.NewClock(client, m, k))
}

// dialed returns a client of a user, whose password is their name.
func dialed(t *testing.T, m *store.Meter, mode string, addresses []string, user string) redis.UniversalClient {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(user), 0o600); err != nil {
		t.Fatal(err)
	}
	o := store.Default()
	o.Mode, o.Addresses, o.Username, o.PasswordFile, o.Timeout = mode, addresses, user, file, 10*time.Second
	c, err := store.Dial(o, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	m.Attach(c)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// received waits for a channel.
func received[T any](t *testing.T, what string, from <-chan T) (got T) {
	t.Helper()
	redistest.Await(t, what, func() bool {
		select {
		case got = <-from:
			return true
		default:
			return false
		}
	})
	return got
}
