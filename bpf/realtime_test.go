package bpf

import (
	"errors"
	"os"
	"runtime"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// beforeOthers lets the test's threads run before those of other processes, until it ends: on a busy machine a thread that
// must wait for its CPU holds up all goroutines (when the world is stopped, or when it has the last P), and packets that a
// goroutine carries are late by tens of milliseconds. Where it is not allowed the test runs without.
func beforeOthers(t *testing.T) {
	t.Helper()
	procs := runtime.GOMAXPROCS(16) // a goroutine that comes back from the kernel finds a free P
	if err := schedule(unix.SchedAttr{Policy: unix.SCHED_RR, Priority: 1}); err != nil {
		t.Logf("packets may be late: %v", err)
	}
	t.Cleanup(func() {
		runtime.GOMAXPROCS(procs)
		must(t, schedule(unix.SchedAttr{Policy: unix.SCHED_NORMAL}))
	})
}

// schedule gives all threads a scheduling policy; new ones inherit it.
func schedule(attr unix.SchedAttr) error {
	attr.Size = unix.SizeofSchedAttr
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, task := range tasks {
		tid, err := strconv.Atoi(task.Name())
		if err != nil {
			return err
		}
		if err := unix.SchedSetAttr(tid, &attr, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return os.NewSyscallError("sched_setattr", err)
		}
	}
	return nil
}
