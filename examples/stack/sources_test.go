package stack_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"fivetuple/examples/lab"
	"fivetuple/examples/stack"
)

// foundWithin is how long the agent may take for slow headers, and toldWithin how long a runner may for a verdict.
const foundWithin, toldWithin = 10 * time.Second, time.Second

// lookEvery is the time between two looks of a test.
const lookEvery = 50 * time.Millisecond

// sourceLine is what `fivetuple sources --json` prints of an address.
type sourceLine struct {
	Kind, Address, Signals, Origin string
	Score                          float64
	Since, Expires                 time.Time
	Pardon                         bool
}

// TestSlowHeadersAreFound: the kernel's tables show what no plugin is called for. Whoever brings his requests in drops is
// flagged, and his next call says so; the honest client beside him is not.
func TestSlowHeadersAreFound(t *testing.T) {
	ctx, s := start(t, stack.Options{})
	sources := sourcesOf(ctx, t, s)
	began := time.Now()
	drip(ctx, t, s)
	honest := dial(ctx, t, s, lab.GatewayFrontIPv6)
	var line sourceLine
	for tick := time.NewTicker(lookEvery); line.Address == ""; <-tick.C {
		in, _ := do(t, honest, stack.Get("/both/1", 0))
		if in.Score != 0 {
			t.Fatalf("the honest client has %v for %q", in.Score, in.Signals)
		}
		if time.Since(began) > foundWithin {
			t.Fatal("not found")
		}
		for _, l := range sources.list() {
			line = l
		}
	}
	t.Logf("found after %v: %+v", time.Since(began).Round(time.Millisecond), line)
	if line.Kind != "source" || line.Address != lab.ClientIPv4 || line.Signals != "slow-headers" || line.Origin != "watcher" ||
		line.Score < 0.8 || line.Expires.Before(line.Since.Add(30*time.Second)) {
		t.Errorf("%+v", line)
	}
	same := dial(ctx, t, s, lab.GatewayFrontIPv4)
	within(t, func() bool {
		in, _ := do(t, same, stack.Get("/both/1", 0))
		return in.Signals == "slow-headers" && in.Score > 0.8
	})
	if lines := sources.list(); len(lines) != 1 {
		t.Errorf("also flagged: %+v", lines)
	}
	if in, _ := do(t, honest, stack.Get("/both/1", 0)); in.Score != 0 {
		t.Errorf("the honest client has %v for %q", in.Score, in.Signals)
	}
}

// TestPeopleFlagAndPardon: what people say is in force within a second, the watcher leaves it alone, and runners hear of it.
func TestPeopleFlagAndPardon(t *testing.T) {
	ctx, s := start(t, stack.Options{})
	sources := sourcesOf(ctx, t, s)
	c := dial(ctx, t, s, lab.GatewayFrontIPv4)
	score := func(want float64) func() bool {
		return func() bool {
			in, _ := do(t, c, stack.Get("/both/1", 0))
			return in.Score == want && in.Signals == ""
		}
	}
	if out := sources.run("flag", lab.ClientIPv4, "--for", "10m"); out != lab.ClientIPv4+": flagged for 10m0s\n" {
		t.Errorf("flag: %s", out)
	}
	within(t, score(1))
	if l := sources.list(); len(l) != 1 || l[0].Origin != "manual" || l[0].Score != 1 || time.Until(l[0].Expires) > 10*time.Minute {
		t.Errorf("flagged: %+v", l)
	}
	drip(ctx, t, s)
	sources.run("unflag", lab.ClientIPv4, "--for", "8s")
	pardoned := sources.list()
	if len(pardoned) != 1 || !pardoned[0].Pardon {
		t.Fatalf("pardoned: %+v", pardoned)
	}
	within(t, score(0))
	for time.Now().Before(pardoned[0].Expires.Add(-time.Second)) {
		if l := sources.list(); len(l) != 1 || l[0].Origin != "manual" {
			t.Fatalf("the pardon became %+v", l)
		}
	}
	found := time.Now()
	for l := sources.list(); len(l) != 1 || l[0].Origin != "watcher"; l = sources.list() { // he drips on
		if time.Since(found) > foundWithin {
			t.Fatalf("not found behind the pardon: %+v", l)
		}
	}
}

// TestSourcesWithoutRights: who may read the pins can list, and only list; what is wrong is said.
func TestSourcesWithoutRights(t *testing.T) {
	ctx, s := start(t, stack.Options{})
	sources := sourcesOf(ctx, t, s)
	sources.run("flag", "2001:db8::7")
	sources.credential = &syscall.Credential{Uid: 65534, Gid: 65534}
	if l := sources.list(); len(l) != 1 || l[0].Address != "2001:db8::7" {
		t.Errorf("nobody sees %+v", l)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"flag", "2001:db8::8"}, "permission denied"},
		{[]string{"flag", "localhost"}, `"localhost" is not an address of a host, like 192.0.2.7 or 2001:db8::7`},
		{[]string{"flag", "::"}, `"::" is not an address`},
		{[]string{"flag", "192.0.2.1", "--for", "1ms"}, "--for: 1ms is not in 1s..720h0m0s"},
	} {
		if out, err := sources.try(c.args...); err == nil || !strings.Contains(out, c.want) {
			t.Errorf("%q: %v, %s, want %s", c.args, err, out, c.want)
		}
	}
	if err := s.StopAgent(); err != nil {
		t.Fatal(err)
	}
	if out, err := sources.try("list"); err == nil || !strings.Contains(out, "is the agent running") {
		t.Errorf("without an agent: %v, %s", err, out)
	}
}

// drip opens 20 connections that bring a request in pieces, until the test ends.
func drip(ctx context.Context, t *testing.T, s *stack.Stack) {
	t.Helper()
	const n = 20
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan struct{}, n)
	for range n {
		c := dial(ctx, t, s, lab.GatewayFrontIPv4)
		go func() {
			defer func() { ended <- struct{}{} }()
			_ = c.SendSlowly(ctx, stack.Get("/insight/1", 100_000), 11, 500*time.Millisecond)
		}()
	}
	t.Cleanup(func() {
		stop()
		for range n {
			<-ended
		}
	})
}

// within waits until something holds.
func within(t *testing.T, holds func() bool) {
	t.Helper()
	began := time.Now()
	for tick := time.NewTicker(lookEvery); !holds(); <-tick.C { // a gateway closes a connection after 1,000 calls
		if time.Since(began) > toldWithin {
			t.Fatalf("not after %v", toldWithin)
		}
	}
}

// sources runs `fivetuple sources`.
type sources struct {
	ctx        context.Context
	t          *testing.T
	config     string
	credential *syscall.Credential
}

func sourcesOf(ctx context.Context, t *testing.T, s *stack.Stack) *sources {
	t.Helper()
	config := filepath.Join(filepath.Dir(s.Pins()), "sources.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, "agent: {pins: {path: %s}}\n", s.Pins()), 0o644); err != nil {
		t.Fatal(err)
	}
	return &sources{ctx: ctx, t: t, config: config}
}

func (s *sources) try(args ...string) (string, error) {
	s.t.Helper()
	cmd := exec.CommandContext(s.ctx, binary, append([]string{"sources", "--config", s.config}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.credential}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (s *sources) run(args ...string) string {
	s.t.Helper()
	out, err := s.try(args...)
	if err != nil {
		s.t.Fatalf("%q: %v: %s", args, err, out)
	}
	return out
}

func (s *sources) list() (lines []sourceLine) {
	s.t.Helper()
	in := json.NewDecoder(bytes.NewBufferString(s.run("list", "--json")))
	for in.More() {
		var l sourceLine
		if err := in.Decode(&l); err != nil {
			s.t.Fatal(err)
		}
		lines = append(lines, l)
	}
	return lines
}
