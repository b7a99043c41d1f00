package server

import (
	"fmt"
	"io/fs"
	"os/user"
	"strconv"

	"fivetuple/conf/safefile"
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

// set gives a socket's file its group and mode.
func (a Access) set(path string) error {
	err := safefile.SetSocket(path, a.Mode, a.Group)
	switch {
	case err != nil && a.Group >= 0:
		return fmt.Errorf("set mode of socket, and its group %d (runner.socket_group), of which the runner's user must be a member: %w", a.Group, err)
	case err != nil:
		return fmt.Errorf("set mode of socket: %w", err)
	}
	return nil
}
