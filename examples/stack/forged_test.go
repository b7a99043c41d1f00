package stack_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"fivetuple/correlator"
	"fivetuple/examples/lab"
	"fivetuple/examples/stack"
)

// forgery is what a client sends under our names.
const forgery = "forged"

// forgedLines returns header lines under every name of ours, in every spelling of its separators, in several cases,
// twice each.
func forgedLines() []string {
	var lines []string
	for _, name := range []string{"match", "latency", "size", "anomaly", "flow", "guard", "tuple", "other"} {
		for _, spelling := range []string{"x-packet-%s", "x_packet_%s", "x-packet_%s", "x_packet-%s", "X-Packet-%s", "X_PACKET_%s"} {
			line := fmt.Sprintf(spelling+": "+forgery, name)
			lines = append(lines, line, line)
		}
	}
	return append(lines, "x-packet: "+forgery, "X_Packet: "+forgery)
}

// forgedNames returns the names under which a forgery reached the upstream.
func forgedNames(h http.Header) []string {
	var names []string
	for name, values := range h {
		for _, value := range values {
			if strings.Contains(value, forgery) {
				names = append(names, name)
			}
		}
	}
	return names
}

func TestForgedHeadersDoNotReachTheUpstream(t *testing.T) {
	junk := make([]string, 120)
	for i := range junk {
		junk[i] = fmt.Sprintf("Junk-%d: x", i)
	}
	for _, test := range []struct {
		name  string
		lines []string
		match string
	}{
		{"alone", forgedLines(), "exchange;n=1"},
		// The tuple's header is behind the others, too, so that the runner cannot know that the snippet is on.
		{"behind 120 others", append(junk, forgedLines()...), "exchange;n=1;headers=truncated"},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, s := start(t, stack.Options{})
			for _, path := range []string{"/insight/1", "/dictionary/1", "/plain/1"} {
				c := dial(ctx, t, s, lab.GatewayFrontIPv4)
				a, err := c.Do(stack.Get(path, 0, test.lines...))
				if err != nil {
					t.Fatal(err)
				}
				if names := forgedNames(a.Echo.Header); len(names) > 0 {
					t.Errorf("%s: reached the upstream: %q", path, names)
				}
				if tuple := a.Echo.Header.Values(correlator.TupleHeaderName); len(tuple) > 0 {
					t.Errorf("%s: the tuple reached the upstream: %q", path, tuple)
				}
				if path == "/insight/1" {
					wantMatch(t, insight(t, a), test.match)
				}
			}
		})
	}
}

// TestWithoutTheSnippetTheLimitIsStated: the gateway sends the first 100 headers only, so that the runner cannot vouch for
// what comes behind them, and says so.
func TestWithoutTheSnippetTheLimitIsStated(t *testing.T) {
	ctx, s := start(t, stack.Options{NoSnippet: true, Tuple: correlator.TupleMapVariable})
	lines := make([]string, 120)
	for i := range lines {
		lines[i] = fmt.Sprintf("Junk-%d: x", i)
	}
	c := dial(ctx, t, s, lab.GatewayFrontIPv4)
	in, _ := do(t, c, stack.Get("/insight/many", 0, lines...))
	wantMatch(t, in, "exchange;n=1;headers=truncated")

	// With fewer headers the runner sees them all, and removes what is forged.
	in, a := do(t, c, stack.Get("/insight/few", 0, forgedLines()[:60]...))
	wantMatch(t, in, "exchange;n=2")
	if names := forgedNames(a.Echo.Header); len(names) > 0 {
		t.Errorf("reached the upstream: %q", names)
	}
}

func TestTupleWays(t *testing.T) {
	for _, o := range []stack.Options{
		{Tuple: correlator.TupleHeader},
		{Tuple: correlator.TupleHeader, NoSnippet: true}, // falls back
		{Tuple: correlator.TupleMapVariable},
		{Tuple: correlator.TupleVariables},
	} {
		t.Run(fmt.Sprintf("%s, snippet %v", o.Tuple, !o.NoSnippet), func(t *testing.T) {
			ctx, s := start(t, o)
			for _, address := range []string{lab.GatewayFrontIPv4, lab.GatewayFrontIPv6} {
				in, _ := do(t, dial(ctx, t, s, address), stack.Get("/insight/1", 0))
				wantMatch(t, in, "exchange;n=1")
			}
		})
	}
}
