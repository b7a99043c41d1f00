//go:build linux

package redistest_test

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"fivetuple/examples/lab"
	redistest "fivetuple/examples/redis"
)

// TestDrop has a server in a namespace whose packets get lost, and arrive later.
func TestDrop(t *testing.T) {
	l := redistest.NewLab(t)
	other := redistest.Start(t, redistest.Options{In: l.Upstream, Host: lab.UpstreamIPv4})
	c := redistest.NewCertificates(t, lab.UpstreamIPv4)
	s := redistest.Start(t, redistest.Options{In: l.Upstream, Host: lab.UpstreamIPv4, TLS: c})
	client, others := from(t, l.Gateway, s), from(t, l.Gateway, other)
	for _, c := range []*redis.Client{client, others} {
		if err := ask(t, c, time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	heal := s.Drop(lab.UpstreamInterface)
	if err := ask(t, client, 100*time.Millisecond); err == nil {
		t.Error("an answer although all packets are lost")
	}
	if err := ask(t, others, time.Minute); err != nil {
		t.Errorf("the packets of another server are lost, too: %v", err)
	}
	heal()
	redistest.Await(t, "an answer", func() bool { return ask(t, client, time.Second) == nil })
}

// from returns a client in a namespace.
func from(t *testing.T, n *lab.Namespace, s *redistest.Server) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{
		Addr: s.Address(), MaxRetries: -1, ContextTimeoutEnabled: true, Dialer: s.DialerIn(n), DisableIdentity: true,
	})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func ask(t *testing.T, c *redis.Client, patience time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return c.Ping(ctx).Err()
}
