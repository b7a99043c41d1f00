package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	pc "github.com/api7/ext-plugin-proto/go/A6/PrepareConf"
	flatbuffers "github.com/google/flatbuffers/go"
)

// extPlugin starts runners as APISIX does by ext-plugin.cmd: each start of APISIX has a process id of its own, and the runner's socket
// is named by it, in the folder of APISIX's settings.
type extPlugin struct {
	*bench
	conf string
}

func newExtPlugin(t *testing.T, drain time.Duration) *extPlugin {
	t.Helper()
	e := &extPlugin{bench: newBench(t, drain)}
	e.conf = filepath.Join(e.dir, "conf")
	must(t, os.Mkdir(e.conf, 0o755))
	e.set("socket: "+e.path, `socket: ""`)
	return e
}

// socket is the path that APISIX with a process id gives its runner.
func (e *extPlugin) socket(pid int) string {
	return filepath.Join(e.conf, fmt.Sprintf("apisix-%d.sock", pid))
}

// by returns the command of ext-plugin.cmd, as run by APISIX with a process id.
func (e *extPlugin) by(pid int) *exec.Cmd {
	e.t.Helper()
	cmd := e.command("--take-over")
	cmd.Env = append(cmd.Env, "APISIX_LISTEN_ADDRESS=unix:"+e.socket(pid))
	return cmd
}

// files lists what is in the folder of APISIX's settings.
func (e *extPlugin) files() []string {
	e.t.Helper()
	entries, err := os.ReadDir(e.conf)
	must(e.t, err)
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// prepare asks for the token of a route's configuration, as a worker of the gateway does.
func prepare(t *testing.T, path, route string) uint32 {
	t.Helper()
	b := flatbuffers.NewBuilder(64)
	key := b.CreateString("route#" + route + "#ext-plugin-pre-req#1")
	pc.ReqStart(b)
	pc.ReqAddKey(b, key)
	b.Finish(pc.ReqEnd(b))
	conn := dialSocket(t, path)
	defer func() { _ = conn.Close() }()
	return pc.GetRootAsResp(frameTrip(t, conn, 1, b.FinishedBytes()), 0).ConfToken()
}

// TestExtPluginLeavesNoLitter: however runners end, APISIX's folder does not fill up with what they leave, and no token is given out
// twice, on the same path or on another one of the folder.
func TestExtPluginLeavesNoLitter(t *testing.T) {
	e := newExtPlugin(t, 0)
	seen := map[uint32]string{}
	routes := 0
	serve := func(pid int) *program {
		t.Helper()
		p := e.run(e.by(pid)).ready()
		routes++
		token, who := prepare(t, e.socket(pid), fmt.Sprint("r", routes)), fmt.Sprintf("route %d of APISIX %d", routes, pid)
		if other, twice := seen[token]; twice {
			t.Errorf("token %d was given to %s and to %s", token, other, who)
		}
		seen[token] = who
		return p
	}
	kill := func(p *program) {
		t.Helper()
		must(t, p.cmd.Process.Kill())
		<-p.done
	}
	terminate := func(p *program) {
		t.Helper()
		p.terminate()
		must(t, p.ends())
	}
	const tokens = "fivetuple.tokens"
	for pid := 100; pid < 112; pid += 4 {
		terminate(serve(pid))
		kill(serve(pid + 1))
		first := serve(pid + 2) // APISIX reloads: a successor at the same path takes over
		second := serve(pid + 2)
		must(t, first.ends())
		terminate(second)
		if got := e.files(); !slices.Equal(got, []string{tokens}) {
			t.Errorf("after SIGTERM: %v", got)
		}
		first = serve(pid + 3)
		second = serve(pid + 3)
		must(t, first.ends())
		kill(second)
		kill(serve(pid + 3)) // a successor of one that was killed
	}
	foreign, err := net.ListenUnix("unix", &net.UnixAddr{Name: e.socket(1), Net: "unix"})
	must(t, err)
	defer func() { _ = foreign.Close() }()
	must(t, os.WriteFile(filepath.Join(e.conf, "config.yaml.control"), nil, 0o600))
	other := serve(2)
	last := serve(3)
	want := []string{
		"apisix-1.sock", "apisix-2.sock", "apisix-2.sock.control", "apisix-3.sock", "apisix-3.sock.control", "config.yaml.control", tokens,
	}
	if got := e.files(); !slices.Equal(got, want) {
		t.Errorf("left are %v, want %v", got, want)
	}
	terminate(last)
	terminate(other)
}

// TestExtPluginParentDies: the process that started the runner, and read what it printed, is killed. The runner serves on, and hands over to
// the one that APISIX starts next.
func TestExtPluginParentDies(t *testing.T) {
	e := newExtPlugin(t, 0)
	const pid = 1 // APISIX in a container
	start := func(n int) (parent *program, runner int) {
		t.Helper()
		file := filepath.Join(e.dir, fmt.Sprint("pid", n))
		own := e.by(pid)
		script := `coproc R { exec "$@" 2>&1; }; echo "$R_PID" >"$0"; while read -r line <&"${R[0]}"; do :; done`
		cmd := exec.Command("bash", append([]string{"-c", script, file}, own.Args...)...)
		cmd.Env = own.Env
		parent = e.run(cmd)
		await(t, "the runner's process id", func() bool {
			text, _ := os.ReadFile(file)
			_, err := fmt.Sscan(string(text), &runner)
			return err == nil
		})
		t.Cleanup(func() { _ = syscall.Kill(runner, syscall.SIGKILL) })
		return parent, runner
	}
	lives := func(runner int) bool { return syscall.Kill(runner, 0) == nil }
	parent, first := start(1)
	awaitSocket(t, e.socket(pid))
	e.path = e.socket(pid)
	l := e.load(4)
	must(t, parent.cmd.Process.Kill())
	<-parent.done
	malform(t, e.path, 20) // lines for nobody
	l.more(100)
	_, second := start(2)
	await(t, "the first runner's end", func() bool { return !lives(first) })
	l.more(100)
	l.wantNoneFailed()
	if !lives(second) {
		t.Error("the second runner does not live")
	}
}

// await waits until something holds.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no ", what)
		}
	}
}
