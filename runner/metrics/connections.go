package metrics

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// connections bounds how many readers are connected. A further one is always admitted: the connection that has waited for its next
// request, or has not sent its first one, for longest is closed for it; only if all are being answered, the one that has been for longest.
// So idle connections and slow senders, however many, keep nobody from a scrape.
type connections struct {
	max     int
	now     func() time.Time
	evicted atomic.Uint64

	mu  sync.Mutex
	all map[net.Conn]*connection
}

// connection is one reader's.
type connection struct {
	answering bool
	since     time.Time // of the first byte that it could send, or of the request that is answered
}

type connectionKey struct{}

func newConnections(limit int) *connections {
	return &connections{max: limit, now: time.Now, all: make(map[net.Conn]*connection)}
}

// install has a server's connections bounded.
func (c *connections) install(s *http.Server) {
	s.ConnContext, s.ConnState = c.admit, c.changed
	next := s.Handler
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if own, ok := r.Context().Value(connectionKey{}).(*connection); ok {
			c.set(own, true)
			defer c.set(own, false)
		}
		next.ServeHTTP(w, r)
	})
}

// admit adds a connection, and closes another one if there are too many.
func (c *connections) admit(ctx context.Context, conn net.Conn) context.Context {
	own := &connection{since: c.now()}
	c.mu.Lock()
	c.all[conn] = own
	var victim net.Conn
	if len(c.all) > c.max {
		if victim = c.idlest(conn); victim != nil {
			delete(c.all, victim)
		}
	}
	c.mu.Unlock()
	if victim != nil {
		c.evicted.Add(1)
		_ = victim.Close() // the server's goroutine finds that out
	}
	return context.WithValue(ctx, connectionKey{}, own)
}

// idlest returns the connection that is closed for a new one.
func (c *connections) idlest(latest net.Conn) (victim net.Conn) {
	var of *connection
	for conn, other := range c.all {
		if conn == latest {
			continue
		}
		if of == nil || of.answering && !other.answering || of.answering == other.answering && other.since.Before(of.since) {
			victim, of = conn, other
		}
	}
	return victim
}

// changed forgets a connection that has ended.
func (c *connections) changed(conn net.Conn, state http.ConnState) {
	if state == http.StateClosed || state == http.StateHijacked {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.all, conn)
	}
}

func (c *connections) set(own *connection, answering bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	own.answering, own.since = answering, c.now()
}
