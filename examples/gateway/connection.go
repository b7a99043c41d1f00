package gateway

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// connection is one accepted client connection: what nginx knows of it, and the bytes as they come from
// the network.
type connection struct {
	net.Conn
	raw    net.Conn // as accepted, for TCP_INFO
	number uint64   // $connection: a serial number over all workers, from 1
	worker *worker
	peer   netip.AddrPort // $realip_remote_addr and port
	local  netip.AddrPort // $server_addr and port
	start  time.Time

	tlsVersion string // $ssl_protocol; empty without TLS
	http2      string // $http2: h2, h2c or empty
	requests   atomic.Uint64

	once   sync.Once
	closed chan struct{} // closed with the connection

	mu      sync.Mutex
	busy    bool // a request is under way
	closing bool
}

func (g *Gateway) newConnection(raw net.Conn) *connection {
	number := g.connections.Add(1)
	return &connection{
		Conn: raw, raw: raw, number: number, start: g.now(), closed: make(chan struct{}),
		worker: g.workers[(number-1)%uint64(len(g.workers))],
		peer:   addrPort(raw.RemoteAddr()), local: addrPort(raw.LocalAddr()),
	}
}

// addrPort reads a socket's address; IPv4 is not left mapped into IPv6. It is 0.0.0.0:0 for a socket that
// has none (net.Pipe).
func addrPort(addr net.Addr) netip.AddrPort {
	if addr != nil {
		if at, err := netip.ParseAddrPort(addr.String()); err == nil {
			return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
		}
	}
	return netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
}

// Close may be called by several goroutines, and more than once.
func (c *connection) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.raw.Close()
}

// begin marks a request as under way; false if the gateway is closing.
func (c *connection) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy = !c.closing
	return c.busy
}

// end marks the request as done; false if the connection has to end, too.
func (c *connection) end() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy = false
	return !c.closing
}

func (c *connection) isClosing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closing
}

// closeIfIdle is Close for a connection that waits for a request; one with a request under way ends
// after it. HTTP/2 connections are net/http's to shut down.
func (c *connection) closeIfIdle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closing = true
	if !c.busy {
		_ = c.Close()
	}
}
