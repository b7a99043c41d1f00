package safefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// SetSocket gives a socket's file that this process has just made its mode, and its group (-1: none). chmod(2) and chown(2) follow
// symbolic links, and somebody may have put one in the socket's place: so the file is held first, and checked.
func SetSocket(path string, mode fs.FileMode, group int) error {
	f, err := os.OpenFile(path, unix.O_PATH|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	err = check(f, func(path string, stat *syscall.Stat_t) error {
		if stat.Mode&syscall.S_IFMT != syscall.S_IFSOCK {
			return refused(path, "another process has replaced the socket", "move it to a directory that only this process's user can write")
		}
		return isOwned(path, stat)
	})
	if err == nil { // O_PATH allows no fchmod(2); by this name the kernel finds what is held, whatever the path is now
		held := fmt.Sprintf("/proc/self/fd/%d", f.Fd())
		if group >= 0 {
			err = os.Chown(held, -1, group)
		}
		err = errors.Join(err, os.Chmod(held, mode))
	}
	return errors.Join(err, f.Close())
}

// MakeDir makes a directory with a mode, whatever the process' umask is. One that is there (fs.ErrExist) stays as it is.
func MakeDir(path string, mode fs.FileMode) error {
	if err := os.Mkdir(path, mode); err != nil {
		return err
	}
	d, err := os.OpenFile(path, unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	err = check(d, isOwned)
	if err == nil {
		err = d.Chmod(mode)
	}
	return errors.Join(err, d.Close())
}
