package stack_test

import (
	"net"
	"time"

	"golang.org/x/sys/unix"

	"fivetuple/examples/stack"
)

// closingCalls: connections that end with a call, in each way that there is.
func (tr *traffic) closingCalls() {
	for name, end := range map[string]func(*talk){
		"the gateway closes": func(c *talk) {
			_, err := c.Do(stack.Get("/insight/last", 0, "Connection: close", c.traced("exchange", 0)))
			c.failed(err)
		},
		"the client has sent all": func(c *talk) {
			if !c.failed(c.Send(stack.Get("/insight/last", 0, c.traced("exchange", 0)))) && !c.failed(c.tcp().CloseWrite()) {
				c.receive("GET")
			}
		},
		"closed before the answer": func(c *talk) {
			c.failed(c.Send(stack.Get("/insight/last?wait=30ms", 0, c.traced("exchange", 0))))
		},
		"reset before the answer": func(c *talk) {
			if !c.failed(c.Send(stack.Get("/insight/last?wait=30ms", 0, c.traced("exchange", 0)))) {
				pause(c.traffic.ctx, 10*time.Millisecond) // the gateway must have read it
				c.reset()
			}
		},
		"reset within the body": func(c *talk) {
			request := stack.Post("/insight/last", 3000, c.traced("exchange;partial", 0))
			if !c.failed(c.Send(request[:2000])) {
				pause(c.traffic.ctx, 10*time.Millisecond)
				c.reset()
			}
		},
	} {
		times(6, func(i int) {
			tr.open("early close: "+name, either(i), func(c *talk) {
				if c.get("exchange", "/insight/first", 0) {
					end(c)
				}
			})
		})
	}
}

func (c *talk) tcp() *net.TCPConn { return c.raw.Conn.(*net.TCPConn) }

// reset ends the connection by RST.
func (c *talk) reset() {
	c.failed(c.tcp().SetLinger(0))
	c.failed(c.Close())
}

// vanishingCalls: the client sends a request and is gone: what comes for it is not answered, and sent again.
func (tr *traffic) vanishingCalls() {
	times(10, func(i int) {
		tr.open("vanishing client", either(i), func(c *talk) {
			if !c.get("exchange", "/insight/first", 0) ||
				c.failed(c.Send(stack.Get("/insight/last?wait=20ms", 0, c.traced("exchange", 0)))) {
				return
			}
			c.vanish()
			pause(tr.ctx, time.Second) // until it has been sent again more than once
			c.reset()
		})
		c := tr.dial("vanished client", either(i), rules{silence: true}) // for as long as the test runs
		if c == nil {
			return
		}
		tr.t.Cleanup(func() { _ = c.Close() })
		if c.get("exchange", "/insight/first", 0) &&
			!c.failed(c.Send(stack.Get("/insight/last?wait=20ms", 0, c.traced("exchange", 0)))) {
			c.vanish()
		}
	})
}

// vanish has the client's host drop all that comes for the connection.
func (c *talk) vanish() {
	raw, err := c.tcp().SyscallConn()
	if c.failed(err) {
		return
	}
	drop := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
	var inner error
	err = raw.Control(func(fd uintptr) {
		inner = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &drop[0]})
	})
	c.failed(err)
	c.failed(inner)
}
