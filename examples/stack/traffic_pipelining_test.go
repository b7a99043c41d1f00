package stack_test

import (
	"time"

	"fivetuple/examples/stack"
)

// pipelinedCalls: several requests before the first answer. They share an exchange, whose figures the first one's record
// has; a call alone after them is an exchange.
func (tr *traffic) pipelinedCalls() {
	times(20, func(i int) {
		tr.open("pipelining", either(i), func(c *talk) {
			ok := c.burst(3, 3) && c.get("exchange", "/insight/alone", 100*i) &&
				c.behind() && c.get("exchange", "/insight/alone", 0) &&
				c.burst(2, 1) && c.get("exchange", "/insight/alone", 10)
			_ = ok
		})
	})
}

// burst sends some requests in one write, the last of which is cut: its rest comes after so many answers.
func (c *talk) burst(requests, answers int) bool {
	var all []byte
	for range requests {
		all = append(all, stack.Get("/insight/pipelined", 20, c.traced("shared", len(all)))...)
	}
	rest := 0
	if answers < requests {
		rest = 30
	}
	if c.failed(c.Send(all[:len(all)-rest])) {
		return false
	}
	for n := range requests {
		if n == answers && c.failed(c.Send(all[len(all)-rest:])) {
			return false
		}
		if !c.receive("GET") {
			return false
		}
	}
	return true
}

// behind sends a request while the one before it is served: when the plugin sees that one, it is alone.
func (c *talk) behind() bool {
	if c.failed(c.Send(stack.Get("/insight/first?wait=60ms", 0, c.traced("shared", 0)))) {
		return false
	}
	pause(c.traffic.ctx, 20*time.Millisecond)
	return !c.failed(c.Send(stack.Get("/insight/second", 0, c.traced("shared", 0)))) && c.receive("GET") && c.receive("GET")
}
