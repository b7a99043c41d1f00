package lab

import (
	"os"
	"runtime"
	"syscall"
	"testing"
)

// Attacker is a local user without rights, and in no group of the runner's.
const Attacker = 12002

// AsUser runs a function as another user, who is in no other group than that of the same number. It runs on a thread of its own, which
// ends with it: goroutines that it starts are the process's user's. Where that is not root, the test is skipped, or fails.
func AsUser(t testing.TB, uid int, run func() error) error {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("FIVETUPLE_NO_SKIP") == "1" {
			t.Fatal("acting as another user requires root")
		}
		t.Skip("acting as another user requires root")
	}
	ended := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked
		ended <- onThread(uid, run)
	}()
	return <-ended
}

// onThread changes the user of the calling thread alone: package syscall's own functions change it for the process.
func onThread(uid int, run func() error) error {
	id := uintptr(uid) //nolint:gosec // a small number
	if _, _, errno := syscall.RawSyscall(syscall.SYS_SETGROUPS, 0, 0, 0); errno != 0 {
		return errno
	}
	if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESGID, id, id, id); errno != 0 {
		return errno
	}
	if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, id, id, id); errno != 0 {
		return errno
	}
	return run()
}

// AsUserOfTheProcess runs a function on another thread, within AsUser as well.
func AsUserOfTheProcess(run func() error) error {
	ended := make(chan error)
	go func() { ended <- run() }()
	return <-ended
}
