package server

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"

	"golang.org/x/sys/unix"
)

// Access says who may connect to a socket.
type Access struct {
	// Mode are the permissions of its file; whoever may write it may connect.
	Mode fs.FileMode
	// Group is the number of the file's group; negative: as it is.
	Group int
}

// NewAccess returns who may connect by a mode in octal digits and a group's name or number; an empty one is the process's own.
func NewAccess(mode, group string) (Access, error) {
	bits, err := strconv.ParseUint(mode, 8, 9)
	if err != nil {
		return Access{}, fmt.Errorf("runner.socket_mode: %q is no file mode: %w", mode, err)
	}
	a := Access{Mode: fs.FileMode(bits), Group: -1}
	if group == "" {
		return a, nil
	}
	text := group
	if _, err := strconv.ParseUint(group, 10, 31); err != nil {
		g, err := user.LookupGroup(group)
		if err != nil {
			return Access{}, fmt.Errorf("runner.socket_group: %q is neither a number nor a group of this host: %w", group, err)
		}
		text = g.Gid
	}
	if a.Group, err = strconv.Atoi(text); err != nil {
		return Access{}, fmt.Errorf("runner.socket_group: group %q has the number %q: %w", group, text, err)
	}
	return a, nil
}

// set gives a socket's file its group and mode. The file must be a socket; a link to something else is not followed.
func (a Access) set(path string) (err error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer func() { err = errors.Join(err, unix.Close(fd)) }()
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return fmt.Errorf("%s is no socket any more", path)
	}
	if a.Group >= 0 && int(stat.Gid) != a.Group {
		if err := unix.Fchownat(fd, "", -1, a.Group, unix.AT_EMPTY_PATH); err != nil {
			return fmt.Errorf("give socket %s to group %d (runner.socket_group): %w: the runner's user must be a member of it", path, a.Group, err)
		}
	}
	if fs.FileMode(stat.Mode&0o777) == a.Mode {
		return nil
	}
	if err := os.Chmod(fmt.Sprintf("/proc/self/fd/%d", fd), a.Mode); err != nil { // O_PATH allows no fchmod
		return fmt.Errorf("set mode of socket %s: %w", path, err)
	}
	return nil
}
