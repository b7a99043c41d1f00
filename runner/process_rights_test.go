package main

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"golang.org/x/sys/unix"

	"fivetuple/examples/lab"
)

// shippedRights returns the capabilities that the shipped files give the agent, by file.
func shippedRights(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../examples/compose/compose.yaml")
	must(t, err)
	var compose struct {
		Services map[string]struct {
			CapAdd []string `yaml:"cap_add"`
		}
	}
	must(t, yaml.Unmarshal(text, &compose))
	var unit []string
	for name := range strings.FieldsSeq(readUnit(t, "fivetuple-agent.service")["Service.CapabilityBoundingSet"][0]) {
		unit = append(unit, strings.TrimPrefix(name, "CAP_"))
	}
	sets := map[string][]string{"systemd": unit, "compose": compose.Services["agent"].CapAdd}
	for file, set := range sets {
		if len(set) == 0 {
			t.Fatalf("%s gives the agent no capability", file)
		}
	}
	return sets
}

// limited is an agent's environment: a network namespace, a BPF file system, and a set of capabilities for each command.
type limited struct {
	*bench
	lab    *lab.Lab
	rights []string
}

func newLimited(t *testing.T, rights []string) *limited {
	t.Helper()
	needRoot(t)
	l, err := lab.New(t.Context(), lab.Options{})
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	b := newBench(t, 0)
	pins := b.pins()
	must(t, os.Mkdir(pins, 0o755))
	must(t, unix.Mount("bpf", pins, "bpf", 0, "mode=0755")) // as the unit does, with full rights, before the agent starts
	t.Cleanup(func() { _ = unix.Unmount(pins, unix.MNT_DETACH) })
	return &limited{bench: b, lab: l, rights: rights}
}

func (b *bench) pins() string { return filepath.Join(b.dir, "bpf") }

// command runs the program as root of the runner's group, with no more than the rights.
func (l *limited) command(args ...string) *exec.Cmd {
	l.t.Helper()
	own := l.bench.command()
	set := "-all"
	for _, r := range l.rights {
		set += ",+" + strings.ToLower(r)
	}
	all := []string{"--bounding-set", set, "--regid", "65534", "--clear-groups", own.Path}
	cmd := exec.Command("setpriv", append(append(all, args...), own.Args[2:]...)...)
	cmd.Env = own.Env
	return cmd
}

// agent starts an agent and waits until it is ready.
func (l *limited) agent() *program {
	l.t.Helper()
	p := l.runIn(l.lab.Gateway.Start, l.command("agent"))
	p.says("agent is ready")
	return p
}

// output runs a command to its end and returns what it prints.
func (l *limited) output(cmd *exec.Cmd) string {
	l.t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		l.t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	return string(out)
}

// TestAgentRestartsWithItsRights: with exactly the capabilities that the shipped files give it, an agent starts over what
// another one left that was killed, also over the pins of an earlier version, and a person flags a source each time.
func TestAgentRestartsWithItsRights(t *testing.T) {
	for file, rights := range shippedRights(t) {
		t.Run(file, func(t *testing.T) {
			l := newLimited(t, rights)
			for start := range 4 {
				p := l.agent()
				address := fmt.Sprintf("192.0.2.%d", start+1)
				l.output(l.command("sources", "flag", address, "--for", "1h"))
				l.wantFlagged(start + 1)
				must(t, p.cmd.Process.Kill())
				<-p.done
				if start == 1 {
					l.chmodPins(0o440) // as version 0.1 left them
				}
			}
		})
	}
}

// TestQuickStartLeavesNothing: `run --agent` removes its tables when it ends, with what people flagged.
func TestQuickStartLeavesNothing(t *testing.T) {
	l := newLimited(t, []string{"BPF", "NET_ADMIN", "PERFMON"})
	for range 2 {
		p := l.runIn(l.lab.Gateway.Start, l.command("run", "--agent")).ready()
		l.wantFlagged(0)
		l.output(l.command("sources", "flag", "192.0.2.1", "--for", "1h"))
		l.wantFlagged(1)
		p.terminate()
		must(t, p.ends())
		left, err := filepath.Glob(filepath.Join(l.pins(), "[vl]*")) // tables and links
		if must(t, err); len(left) > 0 {
			t.Errorf("left are %v", left)
		}
	}
}

func (l *limited) wantFlagged(n int) {
	l.t.Helper()
	if out := l.output(l.command("sources", "list", "--json")); strings.Count(out, `"192.0.2.`) != n {
		l.t.Errorf("want %d flagged sources:\n%s", n, out)
	}
}

func (l *limited) chmodPins(mode fs.FileMode) {
	l.t.Helper()
	pins, err := filepath.Glob(filepath.Join(l.pins(), "v*", "*"))
	must(l.t, err)
	if len(pins) == 0 {
		l.t.Fatal("no pins")
	}
	for _, pin := range pins {
		must(l.t, os.Chmod(pin, mode))
	}
}
