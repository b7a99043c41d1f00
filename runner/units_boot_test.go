package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// bootTime bounds the container's life.
const bootTime = 2 * time.Minute

// bootScript runs inside the container, with systemd as the first process. It prints a line for each step: its name and what was found.
const bootScript = `#!/bin/bash
exec > /boot.out 2>&1
ip link set lo up; ip link set host0 up
systemd-sysusers && systemctl daemon-reload
ready() { # whether the agent's process of now has attached, and the runner has records
	journalctl --quiet -o cat _PID=$(systemctl show -p MainPID --value fivetuple-agent) | grep -q "agent is ready" && fivetuple health runner --ready
}
state() { # waits for that, and prints who runs
	for i in $(seq 300); do ready >/dev/null 2>&1 && break; sleep 0.1; done
	echo "$1: $(systemctl is-active fivetuple-agent fivetuple-runner | tr '\n' ' ')$(fivetuple health runner --ready 2>&1 | cut -d: -f1)"
}
systemctl start fivetuple-runner; state start
systemctl restart fivetuple-agent fivetuple-runner; state restart
systemctl kill -s KILL fivetuple-agent; systemctl kill -s KILL fivetuple-runner; sleep 1.5; state kill
systemctl kill -s SEGV --kill-whom=main fivetuple-runner; sleep 0.5; state segv
systemctl stop fivetuple-runner fivetuple-agent; systemctl start fivetuple-runner; state stop
umount -l /run/fivetuple/bpf; sleep 2; state unmount
for unit in agent runner; do
	pid=$(systemctl show -p MainPID --value fivetuple-$unit)
	echo "$unit: uid $(awk '/^Uid/ {print $3 != 0}' /proc/$pid/status) caps $(awk '/^CapEff/ {print $2}' /proc/$pid/status) core $(awk '/core file/ {print $5}' /proc/$pid/limits)"
done
echo "folder: $(stat -c '%U:%G %a' /run/fivetuple/bpf)"
echo "cores: $(find / /run/fivetuple /var/lib/fivetuple -maxdepth 1 -name 'core*' | wc -l)"
journalctl --no-pager -o cat -u fivetuple-agent -u fivetuple-runner -u run-fivetuple-bpf.mount > /boot.journal
`

// bootUnits is what starts it.
const bootUnits = `[Unit]
DefaultDependencies=no
After=basic.target
Requires=basic.target
[Service]
Type=oneshot
ExecStart=/usr/local/bin/boot-test
ExecStopPost=/bin/systemctl --force --force poweroff
`

// TestUnitsUnderSystemd boots this machine's own files, under a layer in memory, with systemd as the first process of a container, and
// starts, restarts, kills and stops the shipped units there.
func TestUnitsUnderSystemd(t *testing.T) {
	needRoot(t)
	if _, err := exec.LookPath("systemd-nspawn"); err != nil {
		skip(t, "systemd-nspawn (Debian's package systemd-container): "+err.Error())
	}
	program := filepath.Join(t.TempDir(), "fivetuple")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	top := t.TempDir()
	must(t, unix.Mount("tmpfs", top, "tmpfs", 0, "mode=0755"))
	t.Cleanup(func() {
		_ = unix.Unmount(filepath.Join(top, "root"), unix.MNT_DETACH)
		_ = unix.Unmount(top, unix.MNT_DETACH)
	})
	root := filepath.Join(top, "root")
	for _, name := range []string{"upper", "work", "root"} {
		must(t, os.Mkdir(filepath.Join(top, name), 0o755))
	}
	must(t, unix.Mount("overlay", root, "overlay", 0, fmt.Sprintf("lowerdir=/,upperdir=%[1]s/upper,workdir=%[1]s/work", top)))
	bootFiles(t, root, program)

	ctx, cancel := context.WithTimeout(t.Context(), bootTime)
	defer cancel()
	c := exec.CommandContext(ctx, "systemd-nspawn", "--directory", root, "--boot", "--network-veth", "--register=no", "--keep-unit", "--link-journal=no",
		"--machine", fmt.Sprintf("ft%d", os.Getpid()), "--capability=CAP_BPF,CAP_PERFMON,CAP_NET_ADMIN,CAP_SYS_ADMIN", "--system-call-filter=bpf perf_event_open",
		"systemd.unit=boot-test.service", "systemd.show_status=no")
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Cloneflags: unix.CLONE_NEWNET}
	console, err := c.CombinedOutput()
	found, readErr := os.ReadFile(filepath.Join(root, "boot.out"))
	if readErr != nil {
		t.Fatalf("systemd did not come up: %v, %v\n%s", err, readErr, console)
	}
	want := []string{
		"start: active active runner is healthy", "restart: active active runner is healthy", "kill: active active runner is healthy",
		"segv: active active runner is healthy", "stop: active active runner is healthy", "unmount: active active runner is healthy",
		"agent: uid 0 caps 000000c000001000 core 0", "runner: uid 1 caps 0000000000000000 core 0", "folder: root:fivetuple 750", "cores: 0",
	}
	lines := strings.Split(string(found), "\n")
	for _, w := range want {
		if !slices.Contains(lines, w) {
			t.Errorf("no line %q", w)
		}
	}
	journal, _ := os.ReadFile(filepath.Join(root, "boot.journal"))
	for _, text := range []string{"agent is ready", "runner is ready", "took what systemd kept", "pins were removed by another process; made again"} {
		if !bytes.Contains(journal, []byte(text)) {
			t.Errorf("the journal has no %q", text)
		}
	}
	if t.Failed() {
		t.Logf("%s\n%s", found, journal)
	}
}

// bootFiles installs the program, the units and the script.
func bootFiles(t *testing.T, root, program string) {
	t.Helper()
	units, err := filepath.Glob(unitFolder + "/*.*")
	must(t, err)
	install := map[string]string{program: "usr/local/bin/fivetuple"}
	for _, unit := range units {
		install[unit] = filepath.Join("etc/systemd/system", filepath.Base(unit))
	}
	install[filepath.Join(unitFolder, "fivetuple.sysusers.conf")] = "usr/lib/sysusers.d/fivetuple.conf"
	for from, to := range install {
		content, err := os.ReadFile(from)
		must(t, err)
		mode := os.FileMode(0o644)
		if from == program {
			mode = 0o755
		}
		must(t, os.WriteFile(filepath.Join(root, to), content, mode))
	}
	must(t, os.WriteFile(filepath.Join(root, "usr/local/bin/boot-test"), []byte(bootScript), 0o755))
	must(t, os.WriteFile(filepath.Join(root, "etc/systemd/system/boot-test.service"), []byte(bootUnits), 0o644))
	must(t, os.WriteFile(filepath.Join(root, "etc/machine-id"), []byte("0123456789abcdef0123456789abcdef\n"), 0o444))
}
