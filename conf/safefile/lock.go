package safefile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// lockRetry is the time between two attempts to lock a file.
const lockRetry = 10 * time.Millisecond

// ErrLocked means that another process holds a lock, and did not release it in time.
var ErrLocked = errors.New("another process has locked the file")

// Lock takes an exclusive lock (flock(2)) on an open file, until it is closed, and waits for at most so long: whoever may read the file
// may lock it, for ever.
func Lock(ctx context.Context, f *os.File, wait time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	retry := time.NewTicker(lockRetry)
	defer retry.Stop()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR):
			return fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("lock %s: %w for %v: %w", f.Name(), ErrLocked, wait, ctx.Err())
		case <-retry.C:
		}
	}
}
