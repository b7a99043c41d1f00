package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"fivetuple/runner/metrics"
)

// set replaces a text of the settings.
func (b *bench) set(before, after string) {
	b.t.Helper()
	file := filepath.Join(b.dir, "fivetuple.yaml")
	text, err := os.ReadFile(file)
	must(b.t, err)
	if !strings.Contains(string(text), before) {
		b.t.Fatalf("no %q in the settings:\n%s", before, text)
	}
	must(b.t, os.WriteFile(file, []byte(strings.Replace(string(text), before, after, 1)), 0o600))
}

// watched are an agent and a runner whose health is checked.
type watched struct {
	*limited
	metrics string
}

func newWatched(t *testing.T) *watched {
	t.Helper()
	w := &watched{limited: newLimited(t, []string{"BPF", "NET_ADMIN", "PERFMON"}), metrics: "127.0.0.1:9476"}
	w.set(`listen: ""`, "listen: "+w.metrics)
	w.set("agent: {", "correlator: {stale: 2s}\nagent: {")
	return w
}

// inside runs a command in the gateway's network namespace, and returns its output and exit status.
func (w *watched) inside(name string, args ...string) (out string, status int) {
	w.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), programEnv+"=1")
	var text strings.Builder
	cmd.Stdout, cmd.Stderr = &text, &text
	must(w.t, w.lab.Gateway.Start(cmd))
	err := cmd.Wait()
	if failed := (&exec.ExitError{}); errors.As(err, &failed) {
		return text.String(), failed.ExitCode()
	}
	must(w.t, err)
	return text.String(), 0
}

// health runs `fivetuple health`.
func (w *watched) health(args ...string) (out string, status int) {
	w.t.Helper()
	own := w.bench.command()
	return w.inside(own.Args[0], append(append([]string{"health"}, args...), own.Args[2:]...)...)
}

// wantHealth checks the exit status of `fivetuple health`, and that its one line has a text.
func (w *watched) wantHealth(command string, status int, text string) {
	w.t.Helper()
	out, got := w.health(strings.Fields(command)...)
	if got != status || !strings.Contains(out, text) || strings.Count(out, "\n") != 1 {
		w.t.Errorf("health %s: status %d, %q, want %d, %q", command, got, out, status, text)
	}
}

// awaitHealth waits until `fivetuple health` has an exit status.
func (w *watched) awaitHealth(command string, status int) {
	w.t.Helper()
	await(w.t, fmt.Sprintf("status %d of health %s", status, command), func() bool {
		_, got := w.health(strings.Fields(command)...)
		return got == status
	})
}

// curl asks the runner for /readyz by Debian's curl.
func (w *watched) curl() (status string, r metrics.Readiness) {
	w.t.Helper()
	out, _ := w.inside("curl", "--silent", "--write-out", "\n%{http_code} %{content_type}", "http://"+w.metrics+"/readyz")
	body, status, _ := strings.Cut(out, "\n\n")
	if err := json.Unmarshal([]byte(body), &r); err != nil {
		w.t.Errorf("%v: %q", err, out)
	}
	return status, r
}

func (w *watched) wantReady(status, reason string) {
	w.t.Helper()
	got, r := w.curl()
	if got != status+" application/json" || r.Reason != reason || r.Ready != (reason == "") {
		w.t.Errorf("/readyz: %s, %+v, want %s, %q", got, r, status, reason)
	}
}

// count returns how many lines of a process' log have a text.
func (p *program) count(text string) int { return strings.Count(p.text(), text) }

const available, unavailable = "records are available", "records are unavailable"

// TestHealth follows a runner and an agent that comes, restarts, is killed, comes back and loses its interfaces, through `fivetuple
// health`, /readyz as curl sees it, and the runner's log.
func TestHealth(t *testing.T) {
	w := newWatched(t)
	w.wantHealth("agent", 1, "fivetuple: agent is unhealthy: pins: ")
	w.wantHealth("runner", 1, "fivetuple: runner is unhealthy: no-answer: ")
	p := w.runIn(w.lab.Gateway.Start, w.bench.command()).ready()
	w.wantHealth("runner", 0, "runner is healthy, without records: pins: ")
	w.wantHealth("runner --ready", 1, "fivetuple: runner is unhealthy: pins: ")
	if line := p.says(unavailable + ": calls go on without figures"); line["reason"] != "pins" || line["level"] != "warn" {
		t.Errorf("%v", line)
	}
	w.wantReady("503", "pins")

	agent := w.agent()
	w.awaitHealth("runner --ready", 0)
	w.wantHealth("runner --ready", 0, "runner is healthy: heartbeat ")
	w.wantHealth("runner --json", 0, `{"ready":true,"tables":true,"heartbeat_age_seconds":`)
	w.wantHealth("agent", 0, " s ago, 3 interfaces")
	w.wantReady("200", "")
	// Last was pins, or blind: the moment in which the agent had published its tables and attached to nothing yet.
	if _, r := w.curl(); r.LastError == nil || r.LastError.Reason != "pins" && r.LastError.Reason != "blind" || !r.Tables || *r.HeartbeatAge > 2 || *r.Interfaces != 3 {
		t.Errorf("%+v", r)
	}
	p.says(available)

	for range 3 { // restarts: no line
		agent.terminate()
		must(t, agent.ends())
		agent = w.agent()
		w.awaitHealth("runner --ready", 0)
	}
	w.wantReady("200", "")
	if p.count(available) != 1 || p.count(unavailable) != 1 {
		t.Errorf("restarts of the agent are logged:\n%s", p.text())
	}

	must(t, agent.cmd.Process.Kill())
	<-agent.done
	w.awaitHealth("agent", 1)
	w.wantHealth("agent", 1, "fivetuple: agent is unhealthy: stale: ")
	w.wantReady("503", "stale")
	await(t, "lines of the log", func() bool { return p.count(unavailable) == 2 })
	w.wantHealth("runner", 0, "runner is healthy, without records: stale: ")

	w.agent()
	await(t, "lines of the log", func() bool { return p.count(available) == 2 })
	w.wantReady("200", "")
	w.loseInterfaces()
	w.awaitHealth("agent", 1)
	w.wantHealth("agent", 1, "fivetuple: agent is unhealthy: blind: ")
	await(t, "lines of the log", func() bool { return p.count(`"reason":"blind"`) == 1 })
	w.wantReady("503", "blind")
	w.wantHealth("runner", 0, "runner is healthy, without records: blind: ")
}

// loseInterfaces removes all interfaces but the loopback, as when the gateway's container is made anew.
func (w *watched) loseInterfaces() {
	w.t.Helper()
	out, _ := w.inside("ip", "-oneline", "link", "show")
	for line := range strings.Lines(out) {
		name, _, _ := strings.Cut(strings.Fields(line)[1], "@")
		if name = strings.TrimSuffix(name, ":"); name != "lo" {
			w.inside("ip", "link", "delete", name)
		}
	}
}

// TestHealthOfTheRunner: how it is asked, and what it cannot answer.
func TestHealthOfTheRunner(t *testing.T) {
	w := newWatched(t)
	w.agent()
	p := w.runIn(w.lab.Gateway.Start, w.bench.command()).ready()
	w.wantHealth("runner --socket "+filepath.Join(w.dir, "none"), 1, "no runner serves it")
	w.set("socket: "+w.path, `socket: ""`) // as where systemd or APISIX names it
	w.wantHealth("runner --ready", 0, "runner is healthy: ")
	w.wantHealth("runner --ready --socket "+w.path, 0, "runner is healthy: ")
	w.set("listen: "+w.metrics, `listen: ""`)
	w.wantHealth("runner", 1, "no runner to ask: name its socket ")
	w.wantHealth("runner --socket "+w.path, 0, "runner is healthy: ")

	p.signal(syscall.SIGSTOP)
	w.awaitHealth("runner --socket "+w.path, 1) // the process stops a moment later
	w.wantHealth("runner --socket "+w.path, 1, "does not answer")
	out, status := w.health("runner", "--json", "--socket", w.path)
	if first, _, _ := strings.Cut(out, "\n"); status != 1 || !strings.HasPrefix(first, `{"ready":false,"reason":"no-answer","error":`) {
		t.Errorf("status %d, %s", status, out)
	}
	p.signal(syscall.SIGCONT)
	w.awaitHealth("runner --socket "+w.path, 0)
}

// TestRecordsWhileDraining: a runner that drains for longer than a heartbeat is good for still reads records.
func TestRecordsWhileDraining(t *testing.T) {
	w := newWatched(t)
	w.set("drain: 0s", "drain: 6s")
	w.agent()
	p := w.runIn(w.lab.Gateway.Start, w.bench.command()).ready()
	w.awaitHealth("runner --ready", 0)
	p.terminate()
	for began := time.Now(); time.Since(began) < 5*time.Second; time.Sleep(500 * time.Millisecond) {
		if out, status := w.health("runner", "--ready"); status != 0 {
			t.Fatalf("after %v: %s", time.Since(began), out)
		}
	}
	must(t, p.ends())
}
