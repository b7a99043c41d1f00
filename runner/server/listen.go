package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"fivetuple/conf/safefile"
)

// dialWait bounds the question whether somebody serves a socket.
const dialWait = time.Second

// lockWait bounds the wait for another process that starts beside this one.
const lockWait = 3 * time.Second

// ErrServed means that another runner serves the socket.
var ErrServed = errors.New("another runner serves this socket")

// Socket is a unix socket at its path.
type Socket struct {
	*net.UnixListener
	path string
	file fileID // zero: the file is somebody else's to remove
}

// fileID tells one file from every other. While a socket is open, its file's number is not given to another.
type fileID struct {
	device, inode uint64
}

// Listen makes the socket, for those who may connect. One that nobody serves any more is replaced; one that is served is not. A lock on the folder's file of
// numbers keeps two processes that start at once from replacing each other's.
func Listen(path string, to Access) (s *Socket, err error) {
	lock, err := safefile.Open(NumbersFile(path), os.O_RDWR|os.O_CREATE, 0o600)
	if err == nil { // without it there is only the race that it prevents
		defer func() { err = errors.Join(err, lock.Close()) }()
		if safefile.Lock(context.Background(), lock, lockWait) == nil {
			removeLitter(path)
		}
	}
	if err := makeRoom(path); err != nil {
		return nil, err
	}
	l, err := listenAlone(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: create the directory %s first", err, filepath.Dir(path))
	}
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	l.SetUnlinkOnClose(false) // Remove looks first whether it is still ours
	if err := to.set(path); err != nil {
		return nil, errors.Join(err, l.Close(), os.Remove(path))
	}
	return NewSocket(l, path)
}

// listenAlone makes a socket to which nobody but its user can connect yet, whatever the umask is: Linux gives the file the mode of the
// descriptor that is bound.
func listenAlone(path string) (*net.UnixListener, error) {
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		controlErr := c.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), 0o600) })
		return errors.Join(controlErr, err)
	}}
	l, err := config.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, err
	}
	return l.(*net.UnixListener), nil
}

// NewSocket takes a listener that lies at a path, and whose file is ours to remove.
func NewSocket(l *net.UnixListener, path string) (*Socket, error) {
	file, err := fileOf(path)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("look at socket: %w", err), l.Close())
	}
	return &Socket{UnixListener: l, path: path, file: file}, nil
}

// Path returns where the socket lies.
func (s *Socket) Path() string { return s.path }

// makeRoom removes a socket that nobody serves. Anything else at the path is left alone.
func makeRoom(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s is there and is no socket", path)
	}
	conn, err := net.DialTimeout("unix", path, dialWait)
	if err == nil {
		return errors.Join(fmt.Errorf("%w: %s (use --take-over to replace it)", ErrServed, path), conn.Close())
	}
	if !errors.Is(err, unix.ECONNREFUSED) {
		return fmt.Errorf("%w, or so it seems: %s: %w", ErrServed, path, err)
	}
	return os.Remove(path)
}

// removeLitter removes what runners that were killed left beside a socket, if its name differs from the socket's in digits only: APISIX
// names its runner's socket by its own process id, so that no other runner would ever replace it. Litter is no reason not to serve:
// what cannot be removed stays. The folder's lock must be held, so that no runner of ours is between making and serving a socket.
func removeLitter(path string) {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return
	}
	for _, e := range entries {
		name, _ := strings.CutSuffix(e.Name(), controlSuffix)
		other := filepath.Join(filepath.Dir(path), name)
		if e.Type() != fs.ModeSocket || other == path || withoutDigits(other) != withoutDigits(path) {
			continue
		}
		if isDead("unix", other) && isDead("unixpacket", other+controlSuffix) {
			_ = os.Remove(filepath.Join(filepath.Dir(path), e.Name()))
		}
	}
}

func withoutDigits(name string) string {
	return strings.Map(func(c rune) rune {
		if c >= '0' && c <= '9' {
			return -1
		}
		return c
	}, name)
}

// isDead reports whether there is no socket at a path, or one that nobody serves.
func isDead(network, path string) bool {
	conn, err := net.DialTimeout(network, path, dialWait)
	if err == nil {
		_ = conn.Close()
	}
	return err != nil && isAbsent(err)
}

// Remove removes the socket's file, if it is still ours: somebody else may have made one at the same path. The listener must
// still be open.
func (s *Socket) Remove() error {
	file, err := fileOf(s.path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && file != s.file {
		return nil
	}
	if err != nil {
		return err
	}
	return os.Remove(s.path)
}

// IsGone says whether there is nothing at the socket's path any more.
func (s *Socket) IsGone() bool {
	_, err := fileOf(s.path)
	return errors.Is(err, fs.ErrNotExist)
}

func fileOf(path string) (fileID, error) {
	var stat unix.Stat_t
	if err := unix.Lstat(path, &stat); err != nil {
		return fileID{}, &fs.PathError{Op: "lstat", Path: path, Err: err}
	}
	return fileID{stat.Dev, stat.Ino}, nil
}
