package main

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// stranger is a local user that no group of the runner's has.
const stranger = 12002

// asStranger has a command run by that user, in a folder of his; the program is copied to where he may run it.
func (b *bench) asStranger(cmd *exec.Cmd) *exec.Cmd {
	b.t.Helper()
	needRoot(b.t)
	own, err := os.Open(cmd.Path)
	must(b.t, err)
	defer own.Close()
	copied, err := os.OpenFile(filepath.Join(b.dir, "program"), os.O_CREATE|os.O_WRONLY, 0o755)
	must(b.t, err)
	_, err = io.Copy(copied, own)
	must(b.t, errors.Join(err, copied.Close()))
	must(b.t, os.Chmod(b.dir, 0o755))
	for _, name := range []string{b.dir, filepath.Join(b.dir, "fivetuple.yaml")} {
		must(b.t, os.Chown(name, stranger, stranger))
	}
	cmd.Path, cmd.Dir = copied.Name(), b.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: stranger, Gid: stranger}}
	return cmd
}

// TestNoCore: a runner that dies by a signal, and would write all of its memory with GOTRACEBACK=crash, leaves no core dump, whatever
// limit it was started with; and another process of its user does not read its memory.
func TestNoCore(t *testing.T) {
	b := newBench(t, 0)
	cmd := b.command()
	cmd.Args = append([]string{"sh", "-c", `ulimit -c unlimited; exec "$@"`, "sh", filepath.Join(b.dir, "program")}, cmd.Args[1:]...)
	cmd = b.asStranger(cmd)
	cmd.Path = "/bin/sh"
	cmd.Env = append(cmd.Env, "GOTRACEBACK=crash")
	p := b.run(cmd).ready()

	pid := strconv.Itoa(p.cmd.Process.Pid)
	reader := exec.Command("head", "--bytes", "1", "/proc/"+pid+"/environ", "/proc/"+pid+"/maps", "/proc/"+pid+"/auxv")
	reader.SysProcAttr = cmd.SysProcAttr
	if out, err := reader.CombinedOutput(); err == nil || strings.Count(string(out), "Permission denied") != 3 {
		t.Errorf("another process of its user: %v\n%s", err, out)
	}
	limits, err := os.ReadFile("/proc/" + pid + "/limits")
	must(t, err)
	if !strings.Contains(strings.Join(strings.Fields(string(limits)), " "), "Max core file size 0 0 bytes") {
		t.Errorf("%s", limits)
	}

	must(t, p.cmd.Process.Signal(syscall.SIGSEGV))
	failed, ok := errors.AsType[*exec.ExitError](p.ends())
	if !ok {
		t.Fatalf("it ended with %v", p.err)
	}
	status, _ := failed.Sys().(syscall.WaitStatus)
	if !status.Signaled() || status.CoreDump() {
		t.Errorf("it ended with status %v, core dumped: %v", status, status.CoreDump())
	}
	if cores, _ := filepath.Glob(filepath.Join(b.dir, "core*")); len(cores) > 0 {
		t.Errorf("it left %v", cores)
	}
}
