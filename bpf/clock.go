package bpf

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Clock tells the kernel program's time, CLOCK_MONOTONIC in nanoseconds, without a system call. Go's monotonic clock is
// the same one, with an origin of its own that is measured once.
type Clock struct {
	start  time.Time
	offset uint64
}

// NewClock measures the origin.
func NewClock() (Clock, error) {
	var now unix.Timespec
	start := time.Now()
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return Clock{}, fmt.Errorf("read CLOCK_MONOTONIC: %w", err)
	}
	return Clock{start: start, offset: uint64(now.Nano())}, nil
}

// Now returns the time in nanoseconds of CLOCK_MONOTONIC.
func (c Clock) Now() uint64 { return c.offset + uint64(time.Since(c.start)) }
