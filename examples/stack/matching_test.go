package stack_test

import (
	"testing"
	"time"

	"fivetuple/examples/lab"
	"fivetuple/examples/stack"
)

func TestPipelinedCallsAreShared(t *testing.T) {
	ctx, s := start(t, stack.Options{})
	c := dial(ctx, t, s, lab.GatewayFrontIPv4)
	burst := append(stack.Get("/insight/1", 0), append(stack.Get("/insight/2", 0), stack.Get("/insight/3", 0)...)...)
	if err := c.Send(burst); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		a, err := c.Receive("GET")
		if err != nil {
			t.Fatal(err)
		}
		wantMatch(t, insight(t, a), "shared;n=1")
	}
	in, _ := do(t, c, stack.Get("/insight/alone", 0))
	wantMatch(t, in, "exchange;n=2")
}

func TestUploadIsPartialWhileItsBodyArrives(t *testing.T) {
	ctx, s := start(t, stack.Options{})
	c := dial(ctx, t, s, lab.GatewayFrontIPv6)
	if err := c.SendSlowly(ctx, stack.Post("/insight/slow", 3000), 500, 20*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	a, err := c.Receive("POST")
	if err != nil {
		t.Fatal(err)
	}
	in := insight(t, a)
	wantMatch(t, in, "exchange;n=1;partial")
	if a.Echo.Body != 3000 || in.Payload >= 3000 {
		t.Errorf("the upstream got %d bytes, the header says %d payload bytes", a.Echo.Body, in.Payload)
	}
	// The next call begins where the body ended.
	in, _ = do(t, c, stack.Get("/insight/next", 0))
	wantMatch(t, in, "exchange;n=2")
}

func TestCallAfterOneWithoutThePluginSaysSo(t *testing.T) {
	ctx, s := start(t, stack.Options{})
	c := dial(ctx, t, s, lab.GatewayFrontIPv4)
	in, _ := do(t, c, stack.Get("/insight/1", 0))
	wantMatch(t, in, "exchange;n=1")
	if _, err := c.Do(stack.Get("/plain/2", 300)); err != nil {
		t.Fatal(err)
	}
	in, _ = do(t, c, stack.Get("/insight/3", 0))
	wantMatch(t, in, "exchange;n=3;missed=1")
	in, _ = do(t, c, stack.Get("/insight/4", 0))
	wantMatch(t, in, "exchange;n=4")
}

func TestContinueIsOneCall(t *testing.T) {
	ctx, s := start(t, stack.Options{})
	c := dial(ctx, t, s, lab.GatewayFrontIPv4)
	request := stack.Post("/insight/continue", 2000, "Expect: 100-continue")
	if err := c.Send(request[:len(request)-2000]); err != nil {
		t.Fatal(err)
	}
	if err := c.ReceiveContinue(); err != nil {
		t.Fatal(err)
	}
	if err := c.Send(request[len(request)-2000:]); err != nil {
		t.Fatal(err)
	}
	a, err := c.Receive("POST")
	if err != nil {
		t.Fatal(err)
	}
	wantMatch(t, insight(t, a), "exchange;n=1;partial")
	in, _ := do(t, c, stack.Get("/insight/next", 0))
	wantMatch(t, in, "exchange;n=3") // the body was exchange 2, and no call of its own
}

func TestChunkedLengthIsUnknown(t *testing.T) {
	ctx, s := start(t, stack.Options{})
	c := dial(ctx, t, s, lab.GatewayFrontIPv4)
	head := "POST /insight/chunked HTTP/1.1\r\nHost: gateway\r\nTransfer-Encoding: chunked\r\n\r\n"
	in, a := do(t, c, []byte(head+"5\r\nhello\r\n0\r\n\r\n"))
	wantMatch(t, in, "exchange;n=1;length=unknown")
	if a.Echo.Body != 5 {
		t.Errorf("the upstream got %d bytes, want 5", a.Echo.Body)
	}
	in, _ = do(t, c, stack.Get("/insight/next", 0))
	wantMatch(t, in, "exchange;n=2")
}

func TestDictionaryFormat(t *testing.T) {
	ctx, s := start(t, stack.Options{})
	c := dial(ctx, t, s, lab.GatewayFrontIPv4)
	a, err := c.Do(stack.Get("/dictionary/1", 0))
	if err != nil {
		t.Fatal(err)
	}
	if got := a.Echo.Header.Get("X-Packet"); len(got) < 20 || got[:18] != "match=exchange;n=1" {
		t.Errorf("x-packet: %q", got)
	}
	if got := a.Echo.Header.Values("X-Packet-Match"); len(got) > 0 {
		t.Errorf("x-packet-match beside the dictionary: %q", got)
	}
}

func TestHeadersAreExposedToTheClient(t *testing.T) {
	ctx, s := start(t, stack.Options{})
	c := dial(ctx, t, s, lab.GatewayFrontIPv4)
	in, a := do(t, c, stack.Get("/insight/1", 0))
	exposed, err := stack.ReadInsight(a.Header)
	if err != nil {
		t.Fatal(err)
	}
	if exposed != in {
		t.Errorf("the client was told %+v, the upstream %+v", exposed, in)
	}
	if in.Flow == "" || in.Latency == 0 {
		t.Errorf("flow and latency are missing: %+v", in)
	}
}
