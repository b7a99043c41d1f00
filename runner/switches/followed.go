package switches

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A runner that has taken a file keeps it open with a shared lock, for which read permission is enough, until it takes
// another. A writer makes a new file each time, so that a lock on it says that a runner has taken what it wrote. The lock
// is advisory and of the open file description (fcntl(2), F_OFD_SETLK): it keeps nobody out, it can be asked for without
// being taken, also from another container, and it ends with the runner.

// askRetry is the time between two looks for a runner's lock.
const askRetry = 20 * time.Millisecond

// hold puts a runner's lock on a file.
func hold(f *os.File) error {
	return unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_RDLCK, Whence: io.SeekStart})
}

// Followed says whether a runner has taken what the file says now. Where there is no file (fs.ErrNotExist), no runner can
// say so.
func Followed(path string) (bool, error) {
	f, err := open(path)
	if err != nil {
		return false, err
	}
	found := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	err = unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &found)
	if err != nil {
		err = fmt.Errorf("look for a runner's lock on %s: %w", path, err)
	}
	return err == nil && found.Type != unix.F_UNLCK, errors.Join(err, f.Close())
}

// WaitFollowed waits until a runner has taken what the file says, or the context ends.
func WaitFollowed(ctx context.Context, path string) (bool, error) {
	retry := time.NewTicker(askRetry)
	defer retry.Stop()
	for {
		followed, err := Followed(path)
		if followed || err != nil {
			return followed, err
		}
		select {
		case <-ctx.Done():
			return false, nil
		case <-retry.C:
		}
	}
}
