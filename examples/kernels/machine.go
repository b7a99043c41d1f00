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
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"fivetuple/examples/kernels/task"
)

// guestMemory is in MiB: the archive is unpacked into it, and the demo runs beside.
const guestMemory = 2048

// result is what came of one kernel.
type result struct {
	kernel   kernel
	checks   []checkResult
	duration time.Duration
	err      error // the guest did not get to its end
	console  string
}

// checkResult is what came of one check.
type checkResult struct {
	task.Check
	ended   bool
	exit    int
	seconds float64
	lines   []string
}

func (c *checkResult) passed() bool { return c.ended && c.exit == 0 }

// runKernel boots a kernel and returns what came of the checks.
func runKernel(ctx context.Context, o options, base *image, k kernel, out io.Writer) (r result) {
	start := time.Now()
	r = result{kernel: k, console: filepath.Join(o.cache, k.release+".console.log")}
	defer func() { r.duration = time.Since(start) }()
	for _, c := range checksOf(o, k) {
		r.checks = append(r.checks, checkResult{Check: c})
	}
	initrd := filepath.Join(o.cache, k.release+".initrd")
	checks := make([]task.Check, len(r.checks))
	for i := range r.checks {
		checks[i] = r.checks[i].Check
	}
	if r.err = base.forKernel(initrd, k, checks); r.err != nil {
		return r
	}
	defer os.Remove(initrd)
	r.err = r.boot(ctx, o, initrd, out)
	return r
}

// emulator returns the command that emulates a machine of an architecture, and the kernel's arguments that name its console. On amd64 a
// second serial port is the guest's; on arm64 there is one port for the console and the guest.
func emulator(arch, console string) (command []string, arguments string) {
	if arch == "arm64" {
		return []string{"qemu-system-aarch64", "-machine", "virt", "-serial", "stdio"}, "console=ttyAMA0"
	}
	return []string{"qemu-system-x86_64", "-serial", "file:" + console, "-serial", "stdio"}, "console=ttyS0"
}

// boot runs the guest until it switches itself off. Software emulation, because it is the same everywhere; the CPU has
// all features and the kernel its mitigations, because what the verifier refuses depends on them.
func (r *result) boot(ctx context.Context, o options, initrd string, out io.Writer) error {
	ctx, stop := context.WithTimeout(ctx, o.timeout)
	defer stop()
	machine, console := emulator(r.kernel.arch, r.console)
	c := exec.CommandContext(ctx, machine[0], append(machine[1:], "-accel", "tcg", "-cpu", "max", "-smp", strconv.Itoa(o.cpus),
		"-m", strconv.Itoa(guestMemory), "-display", "none", "-monitor", "none", "-no-reboot", "-nic", "none",
		"-kernel", r.kernel.image, "-initrd", initrd, "-append", console+" panic=-1 quiet loglevel=4")...)
	var stderr strings.Builder
	c.Stderr = &stderr
	events, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return fmt.Errorf("start the emulator: %w", err)
	}
	r.read(events, o, out)
	err = c.Wait()
	if ctx.Err() != nil {
		err = fmt.Errorf("the guest did not end within %v", o.timeout)
	}
	if err != nil {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(stderr.String()))
	}
	for i := range r.checks {
		if !r.checks[i].ended {
			return errors.New("the guest ended before its checks: see " + r.console)
		}
	}
	return nil
}

// read takes the guest's events until it ends.
func (r *result) read(from io.Reader, o options, out io.Writer) {
	s := bufio.NewScanner(from)
	s.Buffer(nil, 1<<22)
	for s.Scan() {
		var e task.Event
		if err := json.Unmarshal(s.Bytes(), &e); err != nil {
			e = task.Event{Line: s.Text()} // of the console, where the two share a port
		}
		c := r.find(e.Check)
		if c == nil {
			fmt.Fprintf(out, "%s: %s\n", r.kernel.release, e.Line)
			continue
		}
		if !e.Ended {
			c.lines = append(c.lines, e.Line)
			if o.verbose {
				fmt.Fprintf(out, "%s: %s: %s\n", r.kernel.release, c.Name, e.Line)
			}
			continue
		}
		c.ended, c.exit, c.seconds = true, e.Exit, e.Seconds
		fmt.Fprintf(out, "%s: %s: exit %d after %.1f s\n", r.kernel.release, c.Name, e.Exit, e.Seconds)
	}
}

func (r *result) find(name string) *checkResult {
	for i := range r.checks {
		if r.checks[i].Name == name {
			return &r.checks[i]
		}
	}
	return nil
}
