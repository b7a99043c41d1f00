package stack_test

import (
	"fmt"
	"testing"

	"fivetuple/examples/lab"
	"fivetuple/examples/stack"
)

// TestLogAfterRunnerEnds: the process ends in the middle of a connection, and another goes on. What was open is marked as cut,
// or lost with a process that was killed; every other line is right, and none is there twice.
func TestLogAfterRunnerEnds(t *testing.T) {
	for name, c := range map[string]struct {
		end func(*stack.Stack) error
		cut int // lines that say so
	}{
		"SIGTERM": {(*stack.Stack).StopRunner, 1}, "SIGKILL": {(*stack.Stack).KillRunner, 0},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, s := start(t, stack.Options{})
			client := dial(ctx, t, s, lab.GatewayFrontIPv4)
			const before, after = 4, 4
			told := make(map[string]stack.Insight)
			call := func(n int) {
				id := fmt.Sprintf("%032x", n)
				in, _ := do(t, client, stack.Post("/insight/post", 100*n, "traceparent: 00-"+id+"-0123456789abcdef-01"))
				told[id] = in
			}
			for n := range before {
				call(n + 1)
			}
			waitUntil(t, func() bool { return len(readLog(t, s.CallsFile())) == before-1 }) // the last one is open
			if err := c.end(s); err != nil {
				t.Fatal(err)
			}
			if err := s.StartRunner(ctx); err != nil {
				t.Fatal(err)
			}
			for n := range after {
				call(before + n + 1)
			}
			if err := client.Close(); err != nil {
				t.Fatal(err)
			}
			want := before - 1 + c.cut + after
			waitUntil(t, func() bool { return len(readLog(t, s.CallsFile())) >= want })
			checkAfterEnd(t, readLog(t, s.CallsFile()), told, want, c.cut)
		})
	}
}

func checkAfterEnd(t *testing.T, lines []logged, told map[string]stack.Insight, want, cut int) {
	t.Helper()
	seen := make(map[string]bool)
	cuts, shared := 0, 0
	for _, l := range lines {
		if seen[l.Trace] {
			t.Errorf("call %s has two lines", l.Trace)
		}
		seen[l.Trace] = true
		if l.Cut {
			cuts++
		}
		if l.Match == "shared" {
			shared++
		}
		if in := told[l.Trace]; !in.Partial && l.Bytes != in.Size || l.Bytes < in.Size {
			t.Errorf("call %s: %d bytes, the upstream was told %d", l.Trace, l.Bytes, in.Size)
		}
	}
	if len(lines) != want || cuts != cut || shared != 1 { // the new process' first call: what came before is not known to it
		t.Errorf("%d lines, %d of them cut, %d shared; want %d, %d, 1", len(lines), cuts, shared, want, cut)
	}
}
