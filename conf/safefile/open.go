package safefile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Errors of files. They are wrapped with the path, what was found there, and what to do.
var (
	// ErrUnsafe means that the file is not one that this process may use.
	ErrUnsafe = errors.New("refused")
	// ErrTooLarge means that a file has more bytes than may be read.
	ErrTooLarge = errors.New("the file is too large")
)

// Open opens a file that this process writes. The flags are os.OpenFile's, without O_TRUNC: what is refused must not be changed. A file
// that O_CREATE has made is accepted as it is.
func Open(path string, flags int, mode fs.FileMode) (*os.File, error) {
	if flags&os.O_TRUNC != 0 {
		return nil, fmt.Errorf("open %s: %w: O_TRUNC", path, errors.ErrUnsupported)
	}
	flags |= unix.O_NOFOLLOW | unix.O_NONBLOCK // os adds O_CLOEXEC
	for range openTries {
		if flags&os.O_CREATE != 0 {
			f, err := os.OpenFile(path, flags|os.O_EXCL, mode)
			if flags&os.O_EXCL != 0 || !errors.Is(err, fs.ErrExist) {
				return f, err
			}
		}
		f, err := openOwn(path, flags&^os.O_CREATE)
		if flags&os.O_CREATE == 0 || !errors.Is(err, fs.ErrNotExist) {
			return f, err
		} // else it was removed or renamed between the two
	}
	return nil, fmt.Errorf("open %s: %w: it is removed and made all the time", path, ErrUnsafe)
}

// openTries is how often a file that others make and remove is tried to be opened.
const openTries = 10

// openOwn opens a file that is there.
func openOwn(path string, flags int) (*os.File, error) {
	f, err := os.OpenFile(path, flags, 0)
	if err != nil {
		return nil, explain(path, err)
	}
	if err := check(f, isOwn); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// OpenRead opens a regular file for reading, and does not wait for the writer of a pipe. With unix.O_NOFOLLOW as flags, the last
// element of the path must not be a symbolic link.
func OpenRead(path string, flags int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|flags, 0)
	if err != nil {
		return nil, explain(path, err)
	}
	if err := check(f, isRegular); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Read reads a regular file of a bounded size in bytes.
func Read(path string, most int64) ([]byte, error) {
	f, err := OpenRead(path, 0)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("read %s: %w: more than %d bytes", path, ErrTooLarge, most)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	return text, nil
}

// Foreign reports who can change an open file beside root and the user of this process: its owner, or every user; nil if nobody. Where
// configuration is another user's on purpose, that is worth a warning and no more.
func Foreign(f *os.File) error {
	return check(f, func(path string, stat *syscall.Stat_t) error {
		if err := isRegular(path, stat); err != nil {
			return err
		}
		if err := isOwned(path, stat); err != nil {
			return err
		}
		if stat.Mode&0o002 != 0 {
			return refused(path, "every user may write it", "chmod o-w it")
		}
		return nil
	})
}

// check applies a rule to what was opened.
func check(f *os.File, rule func(path string, stat *syscall.Stat_t) error) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("stat %s: %w: %T", f.Name(), errors.ErrUnsupported, info.Sys())
	}
	return rule(f.Name(), stat)
}

func isRegular(path string, stat *syscall.Stat_t) error {
	switch stat.Mode & syscall.S_IFMT {
	case syscall.S_IFREG:
		return nil
	case syscall.S_IFDIR:
		return fmt.Errorf("open %s: %w: %w", path, ErrUnsafe, syscall.EISDIR)
	default:
		return refused(path, "it is "+kindOf(stat.Mode)+", not a regular file", "remove it, or name another file")
	}
}

func isOwned(path string, stat *syscall.Stat_t) error {
	if own := os.Geteuid(); stat.Uid != 0 && int(stat.Uid) != own {
		return refused(path, fmt.Sprintf("it belongs to user %d, and this process runs as user %d", stat.Uid, own),
			fmt.Sprintf("remove it, or give it to user %d", own))
	}
	return nil
}

// isOwn is the rule of files that are written.
func isOwn(path string, stat *syscall.Stat_t) error {
	if err := isRegular(path, stat); err != nil {
		return err
	}
	if err := isOwned(path, stat); err != nil {
		return err
	}
	if stat.Nlink > 1 { // a file that was deleted meanwhile has none
		return refused(path, fmt.Sprintf("it is a hard link: the file has %d names", stat.Nlink), "remove it")
	}
	return nil
}

// explain names what lies at a path whose opening failed because of its kind.
func explain(path string, err error) error {
	if !errors.Is(err, unix.ELOOP) && !errors.Is(err, unix.ENXIO) {
		return err
	}
	var stat syscall.Stat_t
	if syscall.Lstat(path, &stat) != nil || stat.Mode&syscall.S_IFMT == syscall.S_IFREG {
		return err
	}
	return isRegular(path, &stat)
}

func refused(path, found, do string) error {
	return fmt.Errorf("open %s: %w: %s: %s", path, ErrUnsafe, found, do)
}

func kindOf(mode uint32) string {
	switch mode & syscall.S_IFMT {
	case syscall.S_IFLNK:
		return "a symbolic link"
	case syscall.S_IFIFO:
		return "a named pipe"
	case syscall.S_IFSOCK:
		return "a socket"
	}
	return "a device"
}
