package stack_test

import (
	"io"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"fivetuple/correlator"
	"fivetuple/examples/stack"
)

// slowness is how long the one who is slow takes for a call, at least. All others take a few milliseconds.
const slowness = 300 * time.Millisecond

// TestWhoIsSlow makes somebody slow on purpose, one at a time. The parts of each call's time are the whole, and the largest
// names who it was.
func TestWhoIsSlow(t *testing.T) {
	for _, test := range []struct {
		who  string
		want correlator.Part
		call func(c *talk) bool
	}{
		{"a client that sends its head in pieces", correlator.PartArriving, func(c *talk) bool {
			return c.dribble(stack.Get("/insight/head", 900, c.traced("exchange", 0)), "GET")
		}},
		{"a client that sends its body in pieces", correlator.PartArriving, func(c *talk) bool {
			return c.dribble(stack.Post("/insight/body", 2000, c.traced("exchange", 0)), "POST")
		}},
		{"a client that reads in pieces", correlator.PartLeaving, func(c *talk) bool {
			return c.readSlowly(stack.Get("/insight/answer?pad=1000000", 0, "Connection: close", c.traced("exchange", 0)))
		}},
		{"a gateway before the plugin", correlator.PartWaiting, func(c *talk) bool {
			return c.get("exchange", "/slow/get", 0)
		}},
		{"a gateway before the plugin, with a body", correlator.PartWaiting, func(c *talk) bool {
			return c.post("exchange", "/slow/post", 2000)
		}},
		{"an upstream", correlator.PartServing, func(c *talk) bool {
			return c.get("exchange", "/insight/get?wait="+slowness.String(), 0)
		}},
		{"an upstream that has much to say", correlator.PartServing, func(c *talk) bool {
			return c.post("exchange", "/insight/post?pad=50000&wait="+slowness.String(), 9000)
		}},
	} {
		t.Run(test.who, func(t *testing.T) {
			tr := startTraffic(t, stack.Options{})
			tr.runner.baselines.areNarrow()
			tr.slowCalls(test.call)
			tr.wantPart(test.want, slowness/3)
			tr.wantNoFlags()
		})
	}
}

// startTraffic returns a stack with a runner whose records can be read.
func startTraffic(t *testing.T, o stack.Options) *traffic {
	t.Helper()
	o.NoRunner = true
	ctx, s := start(t, o)
	return &traffic{ctx: ctx, t: t, s: s, runner: startCallRunner(ctx, t, s)}
}

// slowCalls makes calls on some connections of clients that do not take much at once.
func (tr *traffic) slowCalls(call func(*talk) bool) {
	const receiveBuffer = 128 << 10
	times(10, func(i int) {
		conn, err := tr.dialWith(either(i), 0, unix.SO_RCVBUF, receiveBuffer)
		if err != nil {
			tr.t.Error(err)
			return
		}
		c := tr.talk("slow", conn, rules{})
		defer c.Close()
		for range 2 {
			if !call(c) {
				return
			}
		}
	})
	tr.runner.await(tr)
}

// wantPart looks at the records of all calls that took at least a time.
func (tr *traffic) wantPart(want correlator.Part, atLeast time.Duration) {
	tr.t.Helper()
	records := tr.runner.all()
	slow := 0
	for i := range records {
		r := &records[i]
		if time.Duration(r.Split.Total) < atLeast {
			continue
		}
		slow++
		if !addsUp(r) || r.Split.Largest() != want {
			tr.t.Errorf("call %d: %s is the largest part, want %s: %+v of %+v, RTT %+v, request %+v, response %+v, %s", i+1,
				r.Split.Largest(), want, r.Split, r.At, r.RTT, r.Request, r.Response, describe(r))
		}
	}
	tr.t.Logf("%d calls, %d of them slow", len(records), slow)
	if slow < 10 {
		tr.t.Error("too few calls were slow")
	}
}

// dribble sends a request in pieces and reads the answer.
func (c *talk) dribble(request []byte, method string) bool {
	const pieces = 10
	err := c.SendSlowly(c.traffic.ctx, request, (len(request)+pieces-1)/pieces, slowness/(pieces-1))
	return !c.failed(err) && c.receive(method)
}

// readSlowly reads the answer to the connection's last request in pieces, with pauses between. What the gateway has sent by
// then is bounded by the client's window.
func (c *talk) readSlowly(request []byte) bool {
	const pieces = 15
	if c.failed(c.Send(request)) {
		return false
	}
	for {
		if _, err := io.CopyN(io.Discard, c, 1_000_000/pieces); err != nil {
			return false // the end: there is no other call on this connection
		}
		pause(c.traffic.ctx, slowness/5) // in all far more than ten answers of this size keep a busy machine
	}
}
