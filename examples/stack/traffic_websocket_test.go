package stack_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"

	"fivetuple/examples/stack"
)

// websocketCalls: a connection that changes its protocol after some calls. All that comes after the change is the figures of
// the call that asked for it.
func (tr *traffic) websocketCalls() {
	times(20, func(i int) {
		tr.open("WebSocket", either(i), func(c *talk) {
			if !c.get("exchange", "/insight/before", 50*i) || !c.upgrade() {
				return
			}
			for n := range 6 { // each there and back is an exchange
				if !c.echo(strings.Repeat("m", 1+n*400)) {
					return
				}
			}
		})
	})
}

func (c *talk) upgrade() bool {
	request := stack.Get("/websocket/chat", 0, "Connection: Upgrade", "Upgrade: websocket", c.traced("exchange;upgraded", 0))
	if c.failed(c.Send(request)) {
		return false
	}
	status, err := c.ReceiveHead()
	if err == nil && status != http.StatusSwitchingProtocols {
		err = fmt.Errorf("status %d, want 101", status)
	}
	return !c.failed(err)
}

func (c *talk) echo(message string) bool {
	if c.failed(c.Send([]byte(message))) {
		return false
	}
	back := make([]byte, len(message))
	_, err := io.ReadFull(c, back)
	if err == nil && string(back) != message {
		err = fmt.Errorf("%d other bytes came back", len(back))
	}
	return !c.failed(err)
}
