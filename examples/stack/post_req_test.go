package stack_test

import (
	"testing"

	"fivetuple/correlator"
	"fivetuple/examples/lab"
	"fivetuple/examples/stack"
)

// TestPostReqBehindTheGlobalRule: the header is gone when ext-plugin-post-req runs, and another plugin has read the body. The
// variable still has the length of the request's head, so that the figures are the call's own.
func TestPostReqBehindTheGlobalRule(t *testing.T) {
	ctx, s := start(t, stack.Options{})
	c := dial(ctx, t, s, lab.GatewayFrontIPv4)
	for i, request := range [][]byte{
		stack.Post("/late/1", 9000), stack.Get("/late/2", 100), stack.Post("/late/3", 1), stack.Post("/late/4", 70_000), stack.Get("/late/5", 0),
	} {
		in, a := do(t, c, request)
		if in.Match != "exchange" || in.Number != int64(i+1) || in.Partial || in.Payload != int64(len(request)) {
			t.Errorf("call %d: %s, payload %d of %d bytes", i+1, in.MatchRaw, in.Payload, len(request))
		}
		if tuple := a.Echo.Header.Values(correlator.TupleHeaderName); len(tuple) > 0 {
			t.Errorf("call %d: the tuple reached the upstream: %q", i+1, tuple)
		}
	}
}
