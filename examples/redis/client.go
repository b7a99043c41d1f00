//go:build linux

package redistest

import (
	"context"
	"net"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"fivetuple/examples/lab"
)

// Client returns a client with a user's rights, which is closed when the test ends; user and password may be empty. It gives up at
// the first error.
func (s *Server) Client(user, password string) *redis.Client { return s.client(user, password, -1) }

// adminRetries are enough for connections that the server has closed, as when the ACL is loaded.
const adminRetries = 5

func (s *Server) client(user, password string, retries int) *redis.Client {
	o := &redis.Options{
		Addr: s.Address(), Username: user, Password: password, DisableIdentity: true, MaxRetries: retries, Dialer: s.DialerIn(s.options.In),
		DialerRetries: 1, DialTimeout: patience,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	if s.options.TLS != nil {
		o.TLSConfig = s.options.TLS.Client()
	}
	c := redis.NewClient(o)
	s.t.Cleanup(func() { _ = c.Close() })
	return c
}

// DialerIn returns what a client in a namespace dials the server with, encrypted where it has to be: go-redis leaves that to a dialer
// of one's own. Outside of one it is nil.
func (s *Server) DialerIn(n *lab.Namespace) func(ctx context.Context, network, address string) (net.Conn, error) {
	if n == nil {
		return nil
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := n.DialContext(ctx, network, address)
		if err != nil || s.options.TLS == nil {
			return conn, err
		}
		return s.options.TLS.over(ctx, conn)
	}
}

// Admin returns a client that may do everything.
func (s *Server) Admin() *redis.Client { return s.admin }
