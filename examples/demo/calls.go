package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"fivetuple/examples/lab"
	"fivetuple/examples/stack"
)

// call is one call of the demonstration: who made it, and what the upstream was told of it.
type call struct {
	Number  int            `json:"call"`
	Kind    string         `json:"kind"`
	Client  netip.AddrPort `json:"client"`
	Gateway netip.AddrPort `json:"gateway"`
	stack.Insight
	Wire uint64 `json:"wire_size"` // what the capture says
}

// scene is a client connection and what happens on it. It calls done for each call with what it was.
type scene struct {
	name    string
	address string // of the gateway
	play    func(ctx context.Context, c *stack.Client, done done) error
}

// done takes the answer to a call.
type done func(kind string, a stack.Answer) error

func scenes() []scene {
	return []scene{
		{"IPv4 keep-alive", lab.GatewayFrontIPv4, keepAlive},
		{"IPv6 keep-alive", lab.GatewayFrontIPv6, keepAlive},
		{"IPv4 uploads", lab.GatewayFrontIPv4, uploads},
		{"IPv6 uploads", lab.GatewayFrontIPv6, uploads},
		{"pipelining", lab.GatewayFrontIPv4, pipelining},
		{"a route without the plugin", lab.GatewayFrontIPv4, missed},
		{"slow client", lab.GatewayFrontIPv6, slow},
	}
}

// makeCalls plays the scenes one after the other and prints a line for each call.
func makeCalls(ctx context.Context, s *stack.Stack, out io.Writer) ([]call, error) {
	var calls []call
	fmt.Fprintln(out, tableHead())
	for i, scene := range scenes() {
		fmt.Fprintf(out, "-- %d/%d %s\n", i+1, len(scenes()), scene.name)
		c, err := s.Dial(ctx, scene.address)
		if err != nil {
			return calls, err
		}
		// A read or write that waits ends with the demonstration.
		stop := context.AfterFunc(ctx, func() { _ = c.Close() })
		err = scene.play(ctx, c, func(kind string, a stack.Answer) error {
			insight, err := stack.ReadInsight(a.Echo.Header)
			if err != nil {
				return err
			}
			calls = append(calls, call{
				Number: len(calls) + 1, Kind: kind, Client: c.Addr(), Gateway: c.GatewayAddr(), Insight: insight,
			})
			fmt.Fprintln(out, calls[len(calls)-1].row())
			return ctx.Err()
		})
		stop()
		_ = c.Close()
		if err := errors.Join(ctx.Err(), err); err != nil {
			return calls, fmt.Errorf("%s: %w", scene.name, err)
		}
	}
	return calls, nil
}

func keepAlive(_ context.Context, c *stack.Client, done done) error {
	for _, padding := range []int{0, 100, 1000, 4000, 0} {
		a, err := c.Do(stack.Get("/insight/get", padding))
		if err != nil {
			return err
		}
		if err := done(fmt.Sprintf("GET, head + %d bytes", padding), a); err != nil {
			return err
		}
	}
	return nil
}

func uploads(_ context.Context, c *stack.Client, done done) error {
	for _, length := range []int{10, 10_000, 100_000, 1 << 20} {
		a, err := c.Do(stack.Post("/insight/post", length))
		if err != nil {
			return err
		}
		if err := done(fmt.Sprintf("POST of %d bytes", length), a); err != nil {
			return err
		}
	}
	return nil
}

func pipelining(_ context.Context, c *stack.Client, done done) error {
	const burst = 3
	var requests []byte
	for range burst {
		requests = append(requests, stack.Get("/insight/pipelined", 0)...)
	}
	if err := c.Send(requests); err != nil {
		return err
	}
	for range burst {
		a, err := c.Receive("GET")
		if err != nil {
			return err
		}
		if err := done("GET, three in one write", a); err != nil {
			return err
		}
	}
	a, err := c.Do(stack.Get("/insight/after", 0))
	if err != nil {
		return err
	}
	return done("GET, alone again", a)
}

func missed(_ context.Context, c *stack.Client, done done) error {
	a, err := c.Do(stack.Get("/insight/before-plain", 0))
	if err != nil {
		return err
	}
	if err := done("GET, before one without plugin", a); err != nil {
		return err
	}
	if _, err := c.Do(stack.Get("/plain/", 0)); err != nil {
		return err
	}
	if a, err = c.Do(stack.Get("/insight/after-plain", 0)); err != nil {
		return err
	}
	return done("GET, after one without plugin", a)
}

func slow(ctx context.Context, c *stack.Client, done done) error {
	const piece, pause = 40, 20 * time.Millisecond
	if err := c.SendSlowly(ctx, stack.Get("/insight/slow", 100), piece, pause); err != nil {
		return err
	}
	a, err := c.Receive("GET")
	if err != nil {
		return err
	}
	if err := done("GET, 40 bytes each 20 ms", a); err != nil {
		return err
	}
	if err := c.SendSlowly(ctx, stack.Post("/insight/slow", 400), piece, pause); err != nil {
		return err
	}
	if a, err = c.Receive("POST"); err != nil {
		return err
	}
	return done("POST, 40 bytes each 20 ms", a)
}
