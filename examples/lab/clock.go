//go:build linux

package lab

import (
	"fmt"
	"math"
	"time"

	"golang.org/x/sys/unix"
)

// wallOffset returns CLOCK_REALTIME - CLOCK_MONOTONIC in nanoseconds. The wall clock is read between two
// readings of the other; of many tries the one with the least time between counts, because only then was
// nothing else run in between. It is right to half of that time: some hundred nanoseconds.
func wallOffset() (int64, error) {
	const tries = 100
	best, offset := int64(math.MaxInt64), int64(0)
	for range tries {
		before, err := readClock(unix.CLOCK_MONOTONIC)
		if err != nil {
			return 0, err
		}
		wall, err := readClock(unix.CLOCK_REALTIME)
		if err != nil {
			return 0, err
		}
		after, err := readClock(unix.CLOCK_MONOTONIC)
		if err != nil {
			return 0, err
		}
		if width := after - before; width < best {
			best, offset = width, wall-before-width/2
		}
	}
	return offset, nil
}

func readClock(id int32) (int64, error) {
	var now unix.Timespec
	if err := unix.ClockGettime(id, &now); err != nil {
		return 0, fmt.Errorf("read clock %d: %w", id, err)
	}
	return now.Nano(), nil
}

// maxClockStep is how far the two clocks may part during a capture. Slewing moves both alike; only setting
// the clock parts them.
const maxClockStep = 20 * time.Microsecond

// checkOffset fails when the wall clock was set since offset was measured: times converted with it are wrong.
func checkOffset(offset int64) error {
	now, err := wallOffset()
	if err != nil {
		return err
	}
	if step := time.Duration(now - offset); step.Abs() > maxClockStep {
		return fmt.Errorf("convert time stamps: the wall clock was set by %v during the capture", step)
	}
	return nil
}
