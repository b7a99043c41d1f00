package stack_test

import (
	"testing"

	"fivetuple/examples/lab"
	"fivetuple/examples/stack"
)

// TestTimeNamespaces: wherever agent and runner are, a call's moments are on one clock.
func TestTimeNamespaces(t *testing.T) {
	for name, o := range map[string]stack.Options{
		"runner 3 s ahead":   {RunnerAhead: 3},
		"runner 3 s behind":  {RunnerAhead: -3},
		"agent 1000 s ahead": {AgentAhead: 1000},
		"both in others":     {AgentAhead: 50, RunnerAhead: 100_000},
		"in none":            {},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, s := start(t, o)
			c := dial(ctx, t, s, lab.GatewayFrontIPv4)
			const calls, most = 3, 1e6 // microseconds, of a call that takes one millisecond
			for range calls {
				in, _ := do(t, c, stack.Get("/insight/1", 0))
				if in.Wait == 0 || in.Wait > most || in.Recv > most {
					t.Errorf("the upstream was told %+v", in)
				}
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			var lines []logged
			waitUntil(t, func() bool { lines = readLog(t, s.CallsFile()); return len(lines) == calls })
			for _, l := range lines {
				if l.Match != "exchange" || l.Total > most || l.Waiting > most || l.AtLast > most {
					t.Errorf("%+v", l)
				}
			}
		})
	}
}
