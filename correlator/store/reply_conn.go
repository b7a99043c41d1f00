package store

import (
	"bytes"
	"fmt"
	"net"
	"sync/atomic"
	"syscall"
)

// replyConn is a connection to a server of which nothing is believed: what is read is within the bounds of framing, or it is not read.
// It is below go-redis and above TLS.
type replyConn struct {
	net.Conn
	framing framing
	fault   error // the first; it stays

	isAsked, isSubscribed atomic.Bool // set by Write, which a subscription calls while it reads
}

// checked returns the connection with its replies checked.
func checked(conn net.Conn) net.Conn {
	c := &replyConn{Conn: conn}
	if raw, ok := conn.(syscall.Conn); ok { // by which the pool sees that a connection is closed
		return struct {
			*replyConn
			syscall.Conn
		}{c, raw}
	}
	return c
}

// Read implements net.Conn. What comes before a reply that is rejected is handed over.
func (c *replyConn) Read(p []byte) (int, error) {
	if c.fault != nil {
		return 0, c.fault
	}
	n, err := c.Conn.Read(p)
	if c.isAsked.Swap(false) {
		c.framing.isNew = true
	}
	c.framing.isSplit = c.isSubscribed.Load()
	good, fault := c.framing.follow(p[:max(n, 0)])
	if fault != nil {
		c.fault = fmt.Errorf("read from redis at %s: %w", c.RemoteAddr(), fault)
		return good, c.fault
	}
	return n, err
}

const (
	// subscribes is the end of the names of the commands that begin a subscription, and the end of the line.
	subscribes = "subscribe\r\n"
	// maxSubscribe is the longest text of such a command, in bytes; go-redis writes it by itself.
	maxSubscribe = 1 << 10
)

// Write implements net.Conn.
func (c *replyConn) Write(p []byte) (int, error) {
	if len(p) <= maxSubscribe && bytes.Contains(p, []byte(subscribes)) {
		c.isSubscribed.Store(true)
	}
	c.isAsked.Store(true)
	return c.Conn.Write(p)
}
