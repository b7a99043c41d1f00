//go:build linux

// Command guest is the first process of a kernel that the command kernels boots: it mounts what programs expect, loads
// modules, runs the checks of its Boot, reports on the second serial port, and switches the machine off.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"fivetuple/examples/kernels/task"
)

// worker is the argument of the process that does the work, so that the first one only reaps what others leave.
const worker = "worker"

func main() {
	if len(os.Args) > 1 && os.Args[1] == worker {
		if err := work(); err != nil {
			fmt.Println("guest:", err)
			os.Exit(1)
		}
		return
	}
	if err := mountAll(); err != nil {
		fmt.Println("guest:", err)
	}
	reapUntilWorkerEnds()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

// reapUntilWorkerEnds starts the worker, and waits for it and for every process without a parent.
func reapUntilWorkerEnds() {
	c := exec.Command("/proc/self/exe", worker)
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	if err := c.Start(); err != nil {
		fmt.Println("guest: start the worker:", err)
		return
	}
	for {
		pid, err := unix.Wait4(-1, nil, 0, nil)
		if pid == c.Process.Pid || err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

func mountAll() error {
	var errs []error
	for _, m := range []struct{ target, kind, data string }{
		{"/proc", "proc", ""},
		{"/sys", "sysfs", ""},
		{"/dev", "devtmpfs", ""},
		{"/sys/fs/bpf", "bpf", "mode=0755"},
		{"/sys/fs/cgroup", "cgroup2", ""},
		{"/tmp", "tmpfs", "mode=1777"},
		{"/run", "tmpfs", "mode=0755"},
		{"/dev/shm", "tmpfs", "mode=1777"},
	} {
		err := errors.Join(os.MkdirAll(m.target, 0o755), unix.Mount(m.kind, m.target, m.kind, 0, m.data))
		if err != nil {
			errs = append(errs, fmt.Errorf("mount %s: %w", m.target, err))
		}
	}
	return errors.Join(errs...)
}

// port is the second serial port; it takes one event a line.
type port struct {
	mu sync.Mutex
	to *json.Encoder
}

func (p *port) send(e task.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.to.Encode(e)
}

// openPort opens the second serial port, or the console of an arm64 machine, which has one port.
func openPort() (*port, error) {
	var errs []error
	for _, path := range []string{"/dev/ttyS1", "/dev/ttyAMA0"} {
		f, err := os.OpenFile(path, os.O_WRONLY|unix.O_NOCTTY, 0)
		if err == nil {
			err = passOn(f)
		}
		if err == nil {
			return &port{to: json.NewEncoder(f)}, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// passOn has a terminal pass lines on as they are: a carriage return for a person's terminal would be no JSON. The port of a
// machine that has none refuses it.
func passOn(f *os.File) error {
	t, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		return err
	}
	t.Oflag &^= unix.OPOST
	return unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, t)
}

func work() error {
	p, err := openPort()
	if err != nil {
		return err
	}
	data, err := os.ReadFile(task.File)
	if err != nil {
		return err
	}
	var boot task.Boot
	if err := json.Unmarshal(data, &boot); err != nil {
		return fmt.Errorf("read %s: %w", task.File, err)
	}
	if err := prepare(boot.Modules); err != nil {
		p.send(task.Event{Line: err.Error()})
	}
	for _, c := range boot.Checks {
		runCheck(p, c)
	}
	return nil
}

// prepare gives the guest what a host has: its modules, a loopback that is up, and programs of nobody refused.
func prepare(modules []string) error {
	var errs []error
	for _, path := range modules {
		if err := loadModule(path); err != nil {
			errs = append(errs, fmt.Errorf("load module %s: %w", path, err))
		}
	}
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	errs = append(errs, err)
	// Debian's default; the value 2 lets only who has CAP_BPF call bpf(2) for programs.
	errs = append(errs, os.WriteFile("/proc/sys/kernel/unprivileged_bpf_disabled", []byte("2"), 0))
	return errors.Join(errs...)
}

func loadModule(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.FinitModule(int(f.Fd()), "", 0); err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	return nil
}

func runCheck(p *port, check task.Check) {
	ctx, stop := context.WithTimeout(context.Background(), time.Duration(check.Seconds)*time.Second)
	defer stop()
	read, write := io.Pipe()
	c := exec.CommandContext(ctx, check.Args[0], check.Args[1:]...)
	c.Dir, c.Stdout, c.Stderr = check.Dir, write, write
	c.Env = append([]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "FIVETUPLE_NO_SKIP=1", "FIVETUPLE_GUEST=1"}, check.Env...)
	c.WaitDelay = 5 * time.Second // a child of its own may hold the output
	var lines sync.WaitGroup
	lines.Go(func() {
		s := bufio.NewScanner(read)
		s.Buffer(nil, 1<<20)
		for s.Scan() {
			p.send(task.Event{Check: check.Name, Line: s.Text()})
		}
		_, _ = io.Copy(io.Discard, read)
	})
	start := time.Now()
	err := c.Run()
	write.Close()
	lines.Wait()
	event := task.Event{Check: check.Name, Ended: true, Exit: c.ProcessState.ExitCode(), Seconds: time.Since(start).Seconds()}
	if c.ProcessState == nil || ctx.Err() != nil {
		p.send(task.Event{Check: check.Name, Line: fmt.Sprint("guest: ", errors.Join(err, ctx.Err()))})
		event.Exit = -1
	}
	p.send(event)
}
