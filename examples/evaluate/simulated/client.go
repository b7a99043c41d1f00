package simulated

import (
	"time"

	"fivetuple/correlator/flow"
)

// call is what a client asks for.
type call struct {
	route    string
	method   string
	head     int // bytes
	body     int
	response int
	serve    time.Duration // of gateway and upstream
	pace     time.Duration // of an application that writes its body in pieces: between two of them; 0: at once
	piece    int
}

// do makes a call, and calls then when its answer has been acknowledged. The connection must be open and free.
func (c *conn) do(a *call, then func()) {
	if c.closed {
		return
	}
	c.used = c.w.now
	c.requests++
	if c.tls && c.requests == 1 {
		c.greet(func() { c.ask(a, then) })
		return
	}
	c.ask(a, then)
}

// greet is TLS 1.3's handshake (RFC 8446, 2): ClientHello, the server's flight, Finished; session tickets follow that.
func (c *conn) greet(then func()) {
	c.send(flow.RX, 517, nil, func() {
		c.send(flow.TX, 3300, nil, func() {
			c.later(c.host.trip(), func() {
				c.send(flow.RX, 80, nil, func() {
					c.count(flow.TX, fresh, 510, 0)
					then()
				})
			})
		})
	})
}

// ask lets the request arrive. The plugin runs when the head is there.
func (c *conn) ask(a *call, then func()) {
	w := c.w
	w.fixed.Request(w.now, c.key.Remote)
	w.fixed.HeadBegan(w.now, c.key, c.key.Remote)
	refused := false
	head := func() {
		w.fixed.HeadDone(c.key)
		w.after(w.queueing(), func() {
			if !c.closed {
				refused = w.guard.refuses(c, a)
			}
		})
	}
	arrived := func() {
		serve := a.serve + w.slowness
		if wait := c.host.timeout(); serve > wait && w.lost(c.host) { // the acknowledgement was: the client sends again
			c.later(wait, func() { c.count(flow.RX, again, min(a.head+a.body, mss), 0) })
		}
		c.later(max(serve, time.Millisecond), func() {
			if refused {
				c.respond(100, then)
				return
			}
			c.respond(a.response, then)
		})
	}
	c.send(flow.RX, a.head, head, func() { c.bring(a, a.body, arrived) })
}

// bring brings the body.
func (c *conn) bring(a *call, left int, arrived func()) {
	switch {
	case left == 0:
		arrived()
	case a.pace == 0:
		c.send(flow.RX, left, nil, arrived)
	default:
		piece := min(a.piece, left)
		c.later(a.pace, func() { c.send(flow.RX, piece, nil, func() { c.bring(a, left-piece, arrived) }) })
	}
}

// respond sends the answer; then the client reads it, and acknowledges.
func (c *conn) respond(n int, then func()) {
	c.send(flow.TX, n, nil, func() {
		trip := c.host.trip()
		c.later(trip, func() {
			c.acknowledge(uint32(trip / time.Microsecond))
			c.used = c.w.now
			c.w.calls++
			then()
		})
	})
}

// queueing is how long a request waits in the gateway for its plugin.
func (w *world) queueing() time.Duration {
	return time.Duration(w.lognormal(float64(300*time.Microsecond), 0.6)) + w.slowness/2
}
