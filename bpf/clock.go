package bpf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Clock tells the kernel program's time, CLOCK_MONOTONIC of the host in nanoseconds, without a system call. Go's monotonic clock
// is the same one, with an origin of its own that is measured once.
type Clock struct {
	start  time.Time
	offset uint64
}

// NewClock measures the origin. In a time namespace the process' CLOCK_MONOTONIC differs from the program's, which is the host's.
func NewClock() (Clock, error) {
	ahead, err := timeNamespaceOffset("/proc/self")
	if err != nil {
		return Clock{}, err
	}
	var now unix.Timespec
	start := time.Now()
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return Clock{}, fmt.Errorf("read CLOCK_MONOTONIC: %w", err)
	}
	return Clock{start: start, offset: uint64(now.Nano() - ahead)}, nil
}

// Now returns the time in nanoseconds of the host's CLOCK_MONOTONIC.
func (c Clock) Now() uint64 { return c.offset + uint64(time.Since(c.start)) }

// initialTimeNamespace is the inode of the host's time namespace (linux/proc_ns.h: PROC_TIME_INIT_INO).
const initialTimeNamespace = "time:[4026531834]"

// timeNamespaceOffset returns by how many nanoseconds CLOCK_MONOTONIC of a process is ahead of the host's; process is its folder
// in /proc. A kernel without time namespaces has no such files.
func timeNamespaceOffset(process string) (int64, error) {
	own, err := os.Readlink(process + "/ns/time")
	if errors.Is(err, fs.ErrNotExist) || err == nil && own == initialTimeNamespace {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the time namespace: %w", err)
	}
	// The offsets are those of the namespace that children get.
	children, err := os.Readlink(process + "/ns/time_for_children")
	if err != nil {
		return 0, fmt.Errorf("read the time namespace: %w", err)
	}
	if own != children {
		return 0, fmt.Errorf("read the offsets of time namespace %s: the kernel shows only those of %s, in which children start: start fivetuple as such a child (unshare --fork)",
			own, children)
	}
	text, err := os.ReadFile(process + "/timens_offsets")
	if err != nil {
		return 0, fmt.Errorf("read the offsets of the time namespace: %w", err)
	}
	var seconds, nanoseconds int64
	if _, err := fmt.Sscanf(string(text), "monotonic %d %d", &seconds, &nanoseconds); err != nil {
		return 0, fmt.Errorf("read the offsets of the time namespace: %s/timens_offsets: %q: %w", process, text, err)
	}
	return seconds*int64(time.Second) + nanoseconds, nil
}
