package stack_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"fivetuple/bpf"
	"fivetuple/examples/lab"
	"fivetuple/examples/stack"
)

// Every test here says what a call is told when there is no record for it, and that the call goes through.

func TestNoneWithoutPins(t *testing.T) {
	ctx, s := start(t, stack.Options{NoAgent: true})
	c := dial(ctx, t, s, lab.GatewayFrontIPv4)
	in, a := do(t, c, stack.Get("/insight/1", 0))
	wantMatch(t, in, "none;reason=pins")
	if in.HasSize || a.Echo.Header.Get("X-Packet-Latency") != "" {
		t.Errorf("figures without a record: %v", a.Echo.Header)
	}
	// The agent comes later: the same connection is older than the program, and is found by its socket.
	if err := s.StartAgent(ctx); err != nil {
		t.Fatal(err)
	}
	in = eventually(ctx, t, c, func(in stack.Insight) bool { return in.Match != "none" })
	if in.Match != "shared" { // requests before were not seen
		t.Errorf("x-packet-match: %s, want shared", in.MatchRaw)
	}
	in, _ = do(t, c, stack.Get("/insight/then", 0))
	if in.Match != "exchange" {
		t.Errorf("x-packet-match: %s, want exchange", in.MatchRaw)
	}
	in, _ = do(t, dial(ctx, t, s, lab.GatewayFrontIPv4), stack.Get("/insight/new", 0))
	wantMatch(t, in, "exchange;n=1")
}

func TestNoneWithAForeignLayout(t *testing.T) {
	ctx, s := start(t, stack.Options{NoAgent: true})
	if err := errors.Join(os.Mkdir(s.Pins(), 0o755), os.Mkdir(filepath.Join(s.Pins(), "v0123456789abcdef"), 0o755)); err != nil {
		t.Fatal(err)
	}
	c := dial(ctx, t, s, lab.GatewayFrontIPv4)
	eventually(ctx, t, c, is("none;reason=layout"))
}

func TestNoneWithAStaleHeartbeat(t *testing.T) {
	ctx, s := start(t, stack.Options{})
	c := dial(ctx, t, s, lab.GatewayFrontIPv6)
	in, _ := do(t, c, stack.Get("/insight/1", 0))
	wantMatch(t, in, "exchange;n=1")
	if err := s.KillAgent(); err != nil {
		t.Fatal(err)
	}
	eventually(ctx, t, c, is("none;reason=stale"))
}

func TestNoneForAnUnknownFlow(t *testing.T) {
	ctx, s := start(t, stack.Options{})
	// A connection on an interface that the agent does not watch: the gateway's own loopback.
	conn, err := s.Lab.Gateway.DialContext(ctx, "tcp", lab.GatewayFrontIPv4+":9080")
	if err != nil {
		t.Fatal(err)
	}
	c := stack.NewClient(conn)
	defer c.Close()
	in, _ := do(t, c, stack.Get("/insight/1", 0))
	wantMatch(t, in, "none;reason=unknown-flow")
}

func TestNoneWithAWrongConfiguration(t *testing.T) {
	ctx, s := start(t, stack.Options{})
	in, _ := do(t, dial(ctx, t, s, lab.GatewayFrontIPv4), stack.Get("/wrong/1", 0))
	wantMatch(t, in, "none;reason=config")
}

func TestNoneWithAnUnknownPlugin(t *testing.T) {
	ctx, s := start(t, stack.Options{})
	in, _ := do(t, dial(ctx, t, s, lab.GatewayFrontIPv4), stack.Get("/nothing/1", 0))
	wantMatch(t, in, "none;reason=config")
}

func is(match string) func(stack.Insight) bool {
	return func(in stack.Insight) bool { return in.MatchRaw == match }
}

// eventually makes calls until one is as wanted: the runner looks after its tables twice a second, and a heartbeat is
// stale after five.
func eventually(ctx context.Context, t *testing.T, c *stack.Client, wanted func(stack.Insight) bool) stack.Insight {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var in stack.Insight
	for range 200 {
		if in, _ = do(t, c, stack.Get("/insight/again", 0)); wanted(in) {
			return in
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	t.Fatalf("x-packet-match stays %s", in.MatchRaw)
	return in
}

// TestAnAttachThatFailsEndsTheAgent: it never runs blind.
func TestAnAttachThatFailsEndsTheAgent(t *testing.T) {
	ctx, s := start(t, stack.Options{NoAgent: true})
	settings := filepath.Join(t.TempDir(), "settings.yaml")
	text := "agent:\n  interfaces: [front0, absent0]\n  pins: {path: " + filepath.Join(t.TempDir(), "bpf") + "}\n"
	if err := os.WriteFile(settings, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	agent := exec.CommandContext(ctx, binary, "agent", "--config", settings)
	agent.Stdout, agent.Stderr = &out, &out
	if err := s.Lab.Gateway.Start(agent); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := agent.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("the agent ended with %v, want exit status 1", err)
	}
	if !strings.Contains(out.String(), "absent0") || !strings.Contains(out.String(), bpf.ErrInterface.Error()) {
		t.Errorf("it does not say why: %s", out.String())
	}
}

// TestWithoutCapabilitiesTheAgentSaysWhatIsMissing starts the agent as nobody.
func TestWithoutCapabilitiesTheAgentSaysWhatIsMissing(t *testing.T) {
	ctx, s := start(t, stack.Options{NoAgent: true})
	dir := t.TempDir()
	settings := filepath.Join(dir, "settings.yaml")
	for path := dir; path != "/tmp" && path != "/"; path = filepath.Dir(path) {
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(settings, []byte("agent: {interfaces: [front0]}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	agent := exec.CommandContext(ctx, binary, "agent", "--config", settings)
	agent.Stdout, agent.Stderr = &out, &out
	agent.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if err := s.Lab.Gateway.Start(agent); err != nil {
		t.Fatal(err)
	}
	if err := agent.Wait(); err == nil {
		t.Error("the agent ran without capabilities")
	}
	for _, want := range []string{"CAP_BPF", "CAP_NET_ADMIN"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the message does not name %s: %s", want, out.String())
		}
	}
}
