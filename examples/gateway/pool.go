package gateway

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

// pool keeps one worker's idle connections to the runner: last in, first out. When it is full the
// connection idle for longest is closed. A connection carries one call at a time, of whichever client,
// so it says nothing about who the client is.
type pool struct {
	dial func(context.Context) (net.Conn, error)
	now  func() time.Time

	mu   sync.Mutex
	idle []idleConn // the last is the newest
}

type idleConn struct {
	conn  net.Conn
	since time.Time
}

// take returns the newest idle connection, or a new one. Connections that idled for too long, that the
// runner has closed, or on which it spoke unasked are closed and passed over.
func (p *pool) take(ctx context.Context) (net.Conn, error) {
	for {
		conn, ok := p.pop()
		if !ok {
			break
		}
		if quiet(conn) {
			return conn, nil
		}
		_ = conn.Close()
	}
	ctx, cancel := context.WithTimeout(ctx, runnerConnectTimeout)
	defer cancel()
	conn, err := p.dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect to the runner: %w", err)
	}
	return conn, nil
}

func (p *pool) pop() (net.Conn, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	oldest := p.now().Add(-poolIdle)
	stale := 0
	for stale < len(p.idle) && !p.idle[stale].since.After(oldest) {
		_ = p.idle[stale].conn.Close()
		stale++
	}
	p.idle = p.idle[stale:]
	if len(p.idle) == 0 {
		return nil, false
	}
	last := len(p.idle) - 1
	conn := p.idle[last].conn
	p.idle = p.idle[:last]
	return conn, true
}

func (p *pool) put(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) >= poolSize {
		_ = p.idle[0].conn.Close()
		p.idle = p.idle[1:]
	}
	p.idle = append(p.idle, idleConn{conn: conn, since: p.now()})
}

func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, i := range p.idle {
		_ = i.conn.Close()
	}
	p.idle = nil
}
