//go:build linux

package conf

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"fivetuple/correlator/fleet"
	"fivetuple/correlator/store"
	redistest "fivetuple/examples/redis"
)

// TestUsersOfClients has the client of the runner do what it does, with a gateway's rights, on each kind of Redis.
func TestUsersOfClients(t *testing.T) {
	t.Setenv("FIVETUPLE_TEST_PASSWORD", "a")
	base := store.Default()
	base.Username, base.PasswordEnv, base.Timeout = "a", "FIVETUPLE_TEST_PASSWORD", 10*time.Second
	for name, start := range map[string]func(t *testing.T, o *store.Options){
		"single": func(t *testing.T, o *store.Options) {
			t.Helper()
			o.Database = 2
			o.Addresses = []string{redistest.Start(t, redistest.Options{ACL: users(t)}).Address()}
		},
		"sentinel": func(t *testing.T, o *store.Options) {
			t.Helper()
			s := redistest.StartSentinel(t, redistest.Options{ACL: users(t)}, "")
			for _, watcher := range s.Sentinels {
				watcher.SetACL("user default off\n" + redistest.WithPassword(shipped(t, "sentinel.acl"), "a"))
			}
			o.Mode, o.Master, o.Addresses = store.ModeSentinel, redistest.Master, s.Addresses()
			o.Sentinel = store.SentinelOptions{Username: "fivetuple", PasswordEnv: o.PasswordEnv}
		},
		"cluster": func(t *testing.T, o *store.Options) {
			t.Helper()
			o.Mode = store.ModeCluster
			o.Addresses = redistest.StartCluster(t, redistest.Options{ACL: users(t)}).Addresses()
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := base
			start(t, &o)
			var log strings.Builder
			c, err := store.Dial(o, zerolog.New(&log))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			use(t, c)
			if strings.Contains(log.String(), "NOPERM") {
				t.Errorf("refused:\n%s", log.String())
			}
		})
	}
}

// use does everything at once, which a Cluster's client spreads over its nodes.
func use(t *testing.T, c redis.UniversalClient) {
	t.Helper()
	redistest.Await(t, "the first answer", func() bool { return c.Time(t.Context()).Err() == nil })
	cmds, err := c.Pipelined(t.Context(), func(p redis.Pipeliner) error {
		for _, args := range append(writes("a"), reads("b")...) {
			p.Do(t.Context(), args...)
		}
		return nil
	})
	for _, cmd := range cmds {
		if cmd.Err() != nil && !errors.Is(cmd.Err(), redis.Nil) {
			t.Errorf("%v", cmd)
		}
	}
	if err != nil && !errors.Is(err, redis.Nil) {
		t.Error(err)
	}
	k := fleet.NewKeys("f", true)
	_, err = c.TxPipelined(t.Context(), func(p redis.Pipeliner) error {
		p.HSet(t.Context(), k.Figures("a", 300, 0), "r", "v")
		p.PExpire(t.Context(), k.Figures("a", 300, 0), time.Minute)
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	p := c.PSubscribe(t.Context(), k.Channels())
	defer p.Close()
	if _, err := p.Receive(t.Context()); err != nil {
		t.Error(err)
	}
}
