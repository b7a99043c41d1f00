package stack_test

import (
	"time"

	"fivetuple/examples/stack"
)

// continueCalls: a client that asks before it sends a body. The head, 100 Continue and the body are two exchanges of one
// call.
func (tr *traffic) continueCalls() {
	times(15, func(i int) {
		tr.open("100-continue", either(i), func(c *talk) {
			for n := range 3 {
				if !c.expect("exchange", 1000+n*3000) || !c.get("exchange", "/insight/next", n) {
					return
				}
			}
			c.expect("exchange", 10)
		})
	})
}

func (c *talk) expect(want string, length int) bool {
	request := stack.Post("/insight/continue", length, "Expect: 100-continue", c.traced(want, 0))
	head := len(request) - length
	return !c.failed(c.Send(request[:head])) && !c.failed(c.ReceiveContinue()) &&
		!c.failed(c.Send(request[head:])) && c.receive("POST")
}

// earlyCalls: a call is answered before its body has come. The rest of the body lies in the exchange of the next call, which
// says so; without a next one it is the call's own.
func (tr *traffic) earlyCalls() {
	times(20, func(i int) {
		tr.open("early response", either(i), func(c *talk) {
			rest, ok := c.early("exchange;partial")
			if !ok {
				return
			}
			next := stack.Get("/insight/next", 0, c.traced("shared;reason=early-response", len(rest)))
			if i%2 == 0 {
				ok = !c.failed(c.Send(append(rest, next...)))
			} else {
				ok = !c.failed(c.Send(rest)) && !c.failed(c.Send(next))
			}
			if !ok || !c.receive("GET") || !c.get("exchange", "/insight/third", 0) {
				return
			}
			if rest, ok = c.early("exchange"); ok {
				c.failed(c.Send(rest))
			}
		})
	})
}

// early makes a call that is answered before its body has come, and returns the rest of that.
func (c *talk) early(want string) (rest []byte, ok bool) {
	request := stack.Post("/insight/early?early", 3000, c.traced(want, 0))
	ok = !c.failed(c.Send(request[:len(request)-1000])) && c.receive("POST")
	return request[len(request)-1000:], ok
}

// uploadCalls: bodies that are still arriving when the plugin runs, and such whose length is not declared.
func (tr *traffic) uploadCalls() {
	times(10, func(i int) {
		tr.open("uploads", either(i), func(c *talk) {
			for range 2 {
				request := stack.Post("/insight/slow", 4000, c.traced("exchange", 0))
				if c.failed(c.SendSlowly(tr.ctx, request, 1000, 2*time.Millisecond)) || !c.receive("POST") {
					return
				}
				head := "POST /insight/chunked HTTP/1.1\r\nHost: gateway\r\nTransfer-Encoding: chunked\r\n" +
					c.traced("exchange;length=unknown", 0) + "\r\n\r\n"
				if _, err := c.Do([]byte(head + "5\r\nhello\r\n0\r\n\r\n")); c.failed(err) || !c.get("exchange", "/insight/next", i) {
					return
				}
			}
		})
	})
}
