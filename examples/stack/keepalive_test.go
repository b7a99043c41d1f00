package stack_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"fivetuple/examples/lab"
	"fivetuple/examples/stack"
)

const (
	connections = 8
	callsEach   = 100
)

// TestEveryHeaderEqualsTheCapture: many connections at once, many calls each, of different sizes, over both families: the
// upstream is told of each call the very bytes that an independent capture shows, without tolerance.
func TestEveryHeaderEqualsTheCapture(t *testing.T) {
	for _, offloads := range []bool{false, true} {
		t.Run(fmt.Sprintf("offloads=%v", offloads), func(t *testing.T) {
			ctx, s := start(t, stack.Options{Offloads: offloads})
			capture, err := s.Capture(lab.CaptureOptions{})
			if err != nil {
				t.Fatal(err)
			}
			calls := make([][]seen, connections)
			var wg sync.WaitGroup
			for i := range calls {
				wg.Go(func() { calls[i] = keepAlive(ctx, t, s, i) })
			}
			wg.Wait()
			if err := capture.Stop(); err != nil {
				t.Fatal(err)
			}
			flows := lab.Flows(capture.Packets(), nil)
			for _, connection := range calls {
				for _, call := range connection {
					call.compare(t, flows)
				}
			}
		})
	}
}

// seen is a call whose headers are to be compared with a capture.
type seen struct {
	client *stack.Client
	number int // on its connection, from 1
	in     stack.Insight
	whole  bool // the body fits into what the gateway has read when the plugin runs
}

// keepAlive makes the calls of a connection; every third is a POST. It runs beside the test's goroutine.
func keepAlive(ctx context.Context, t *testing.T, s *stack.Stack, connection int) []seen {
	t.Helper()
	address := []string{lab.GatewayFrontIPv4, lab.GatewayFrontIPv6}[connection%2]
	c, err := s.Dial(ctx, address)
	if err != nil {
		t.Error(err)
		return nil
	}
	defer c.Close()
	var calls []seen
	for i := range callsEach {
		size := (i*131 + connection*977) % 7000
		request := stack.Get("/insight/get", size)
		post := i%3 == 2
		if post {
			request = stack.Post("/insight/post", size*5)
		}
		a, err := c.Do(request)
		if err != nil {
			t.Errorf("connection %d, call %d: %v", connection, i+1, err)
			return calls
		}
		in, err := stack.ReadInsight(a.Echo.Header)
		if err != nil {
			t.Errorf("connection %d, call %d: %v", connection, i+1, err)
			return calls
		}
		calls = append(calls, seen{client: c, number: i + 1, in: in, whole: !post})
	}
	return calls
}

// compare holds a call against the capture: it is the exchange of its number, and its header says what the capture does.
func (call seen) compare(t *testing.T, flows map[lab.FlowKey]*lab.Flow) {
	t.Helper()
	client, in := call.client.Addr(), call.in
	if in.Match != "exchange" || in.Number != int64(call.number) || in.Missed != 0 || in.Partial && call.whole {
		t.Errorf("%v, call %d: x-packet-match: %s", client, call.number, in.MatchRaw)
		return
	}
	wire, err := stack.WireSize(flows, call.client.GatewayAddr(), client, in)
	if err != nil || wire != uint64(in.Size) {
		t.Errorf("%v, call %d: x-packet-size %d, capture %d (%v)", client, call.number, in.Size, wire, err)
	}
}
