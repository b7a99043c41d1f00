package compose

import (
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"fivetuple/examples/lab"
	redistest "fivetuple/examples/redis"
	"fivetuple/examples/stack"
)

// readingCommands are what is executed in the runner's container beside `run`, but for what writes.
func readingCommands() [][]string {
	return [][]string{
		{"version"},
		{"health", "runner"},
		{"health", "runner", "--ready", "--json"},
		{"health", "agent"},
		{"route", "list"},
		{"calls"},
		{"calls", "--json", "--route", "insight"},
		{"calls", "--follow"},
		{"report"},
		{"report", "--format", "json"},
		{"events"},
		{"events", "--follow"},
		{"sources", "list"},
	}
}

// followFor is how long a command that follows is left running.
const followFor = 2 * time.Second

// tracer runs commands under strace and keeps what they called.
type tracer struct {
	t           *testing.T
	dir, binary string
	commands    int // that were run, for the names of their traces
}

// newTracer builds the program, and a wrapper that runs `fivetuple run` under strace and anything else as it is.
func newTracer(t *testing.T) *tracer {
	t.Helper()
	if missing := lab.Missing(); len(missing) > 0 {
		skip(t, strings.Join(missing, "; "))
	}
	if _, err := exec.LookPath("strace"); err != nil {
		skip(t, err.Error())
	}
	dir, err := os.MkdirTemp("", "fivetuple-trace-") //nolint:usetesting // nobody could not reach one in the test's own folder
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	must(t, os.Chmod(dir, 0o777)) // the runner and its strace are nobody
	tr := &tracer{t: t, dir: dir, binary: filepath.Join(dir, "fivetuple")}
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", tr.binary, "fivetuple/runner")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	if err != nil {
		t.Fatalf("build the program: %v: %s", err, out)
	}
	// -D makes the program the caller's own child, which gets the caller's signals.
	text := fmt.Sprintf("#!/bin/sh\n[ \"$1\" = run ] && exec strace -D -f -qq -o %s/run.$$ %s \"$@\"\nexec %[2]s \"$@\"\n", dir, tr.binary)
	must(t, os.WriteFile(tr.wrapper(), []byte(text), 0o755))
	return tr
}

func (tr *tracer) wrapper() string { return filepath.Join(tr.dir, "wrapper") }

// command runs a command as the runner's user. One that follows is interrupted after a while.
func (tr *tracer) command(settings string, args []string) error {
	ctx, cancel := context.WithCancel(tr.t.Context())
	defer cancel()
	tr.commands++
	file := filepath.Join(tr.dir, fmt.Sprintf("command.%d", tr.commands))
	cmd := exec.CommandContext(ctx, "strace", append([]string{"-D", "-f", "-qq", "-o", file, tr.binary}, args...)...)
	cmd.Env = append(os.Environ(), "FIVETUPLE_CONFIG="+settings)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if slices.Contains(args, "--follow") {
		cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
		defer time.AfterFunc(followFor, cancel).Stop()
	}
	if out, err := cmd.CombinedOutput(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("%q: %w: %s", args, err, out)
	}
	return nil
}

// calls returns the system calls of all traces, by name, with those of their arguments that differ in what they ask for.
func (tr *tracer) calls() map[string][]traced {
	tr.t.Helper()
	files, err := filepath.Glob(filepath.Join(tr.dir, "*.[0-9]*"))
	must(tr.t, err)
	all := map[string][]traced{}
	for _, file := range files {
		for _, c := range parseTrace(string(read(tr.t, file))) {
			all[c.name] = append(all[c.name], c)
		}
	}
	return all
}

// TestSeccompAllowsWhatIsCalled: the profile has every system call that the real program makes when it does what the stack has
// it do: serve calls, share with Redis, rotate its log, be flagged and switched, be read by each command, and end.
func TestSeccompAllowsWhatIsCalled(t *testing.T) {
	tr := newTracer(t)
	server := redistest.Start(t, redistest.Options{})
	_, port, _ := strings.Cut(server.Address(), ":")
	s := startTraced(t, tr, map[string]any{
		"redis": map[string]any{"addresses": []string{"localhost:" + port}},
		"fleet": map[string]any{"name": "test", "gateway": "gw-1"},
	})
	for _, args := range readingCommands() {
		if err := tr.command(s.SettingsFile(), args); err != nil {
			t.Error(err)
		}
	}
	other := filepath.Join(tr.dir, "other.yaml") // a folder that is not there yet, and a name that only a name server can know
	must(t, os.WriteFile(other, fmt.Appendf(nil, "runner: {switches: %s/new/switches.yaml}\nredis: {addresses: [\"redis.invalid:6379\"]}\nfleet: {name: test}\n", tr.dir), 0o644))
	for _, state := range []string{"off", "off", "on"} {
		if err := tr.command(other, []string{"route", "insight", state}); err != nil {
			t.Error(err)
		}
	}
	if tr.command(other, []string{"events"}) == nil {
		t.Error("a Redis without an address answered")
	}
	must(t, s.StopRunner())

	p, calls := readProfile(t), tr.calls()
	for _, name := range []string{"bpf", "accept4", "fsync", "ftruncate", "mkdirat", "renameat"} {
		if len(calls[name]) == 0 {
			t.Errorf("the traces have no %s: they are not of what they should be", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(calls)) {
		for _, c := range calls[name] {
			if why := p.refused(c); why != "" {
				t.Errorf("seccomp.json refuses %s, %s", name, why)
				break
			}
		}
	}
	t.Logf("traced: %s", strings.Join(slices.Sorted(maps.Keys(calls)), " "))
}

// startTraced starts everything with a traced runner, and makes calls until its log was rotated.
func startTraced(t *testing.T, tr *tracer, settings map[string]any) *stack.Stack {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	logs := filepath.Join(tr.dir, "log")
	must(t, os.Mkdir(logs, 0o777))
	must(t, os.Chmod(logs, 0o777))
	settings["calls"] = map[string]any{"file": filepath.Join(logs, "calls.jsonl"), "rotate": map[string]any{"size": 1}}
	settings["baseline"] = map[string]any{"file": filepath.Join(logs, "new", "baseline"), "window": "1s", "min_calls": 20}
	port, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, port.Close())
	s, err := stack.New(ctx, stack.Options{Binary: tr.wrapper(), Metrics: port.Addr().String(), Settings: settings})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	c, err := s.Dial(ctx, lab.GatewayFrontIPv4)
	must(t, err)
	t.Cleanup(func() { _ = c.Close() })
	rotated := func() bool {
		files, err := filepath.Glob(filepath.Join(logs, "calls*"))
		must(t, err)
		return len(files) > 1
	}
	for !rotated() {
		for range 100 {
			if _, err := c.Do(stack.Get("/insight/", 0)); err != nil {
				c, err = s.Dial(ctx, lab.GatewayFrontIPv4)
				must(t, err)
			}
		}
	}
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// skip skips a test, where that is allowed.
func skip(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("FIVETUPLE_NO_SKIP") == "1" {
		t.Fatal("a skip is a failure here: ", why)
	}
	t.Skip(why)
}
