package calls

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"fivetuple/conf/safefile"
)

// file is the log's current file. While a runner takes another's place, both write to it, whole lines each: so it is always opened for
// appending, and one that somebody else has rotated is left. Its folder may be writable for others, who can put anything in its place at
// any moment: it is written by its descriptor, which was checked.
type file struct {
	path    string
	size    int64         // of a file in bytes, from which on a new one begins
	keep    int           // old files
	age     time.Duration // of old files
	now     func() time.Time
	current *os.File // nil: none is open
}

// openFile makes the folder, and checks that lines can be written.
func openFile(o *Options) (*file, error) {
	if err := makeFolder(o.File); err != nil {
		return nil, err
	}
	f := &file{path: o.File, size: o.RotateBytes, keep: o.RotateKeep, age: time.Duration(o.RotateDays) * 24 * time.Hour, now: time.Now}
	if err := f.open(0o600, nil); err != nil {
		return nil, err
	}
	f.prune()
	return f, nil
}

func makeFolder(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	return nil
}

// open opens the file at the path, and makes it if it is not there: with the mode and the group of the one before it, if there was one.
func (f *file) open(mode fs.FileMode, before *syscall.Stat_t) error {
	f.close()
	opened, err := safefile.Open(f.path, os.O_CREATE|os.O_APPEND|os.O_RDWR, mode) // it is read where the line before may be torn
	if errors.Is(err, fs.ErrPermission) {
		opened, err = safefile.Open(f.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, mode)
	}
	if err != nil {
		return err
	}
	if before != nil { // a log shipper may read by them
		_ = opened.Chown(-1, int(before.Gid)) // a group that this process is not in stays with the old files
		_ = opened.Chmod(mode)                // whatever the process' umask is
	}
	f.current = opened
	return nil
}

func (f *file) close() {
	if f.current != nil {
		_ = f.current.Close() // every write has returned its error
		f.current = nil
	}
}

// endsTorn says whether the file ends in the middle of a line: whoever wrote it was killed, or its host was, or does so right now.
func (f *file) endsTorn() bool {
	info, err := f.current.Stat()
	if err != nil || info.Size() == 0 {
		return false
	}
	last := make([]byte, 1)
	if _, err = f.current.ReadAt(last, info.Size()-1); err != nil && !errors.Is(err, io.EOF) {
		return false // it can be written, and that is enough
	}
	return last[0] != '\n'
}

// Write appends whole lines.
func (f *file) Write(lines []byte) (int, error) {
	if err := f.prepare(int64(len(lines))); err != nil {
		return 0, err
	}
	return f.current.Write(lines)
}

// prepare makes the current file the one at the path, with room for so many bytes.
func (f *file) prepare(room int64) error {
	is, err := f.isCurrent()
	if err != nil {
		return err
	}
	if !is { // somebody has rotated or deleted it
		if err := f.reopen(); err != nil {
			return err
		}
	}
	info, err := f.current.Stat()
	if err != nil {
		return err
	}
	if info.Size() > 0 && info.Size()+room > f.size {
		return f.rotate(info)
	}
	return nil
}

// isCurrent reports whether the file that is open is the one at the path.
func (f *file) isCurrent() (bool, error) {
	if f.current == nil {
		return false, nil
	}
	named, err := os.Lstat(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	opened, err := f.current.Stat()
	return err == nil && os.SameFile(named, opened), err
}

// reopen opens what is at the path now. A folder that was removed is made again.
func (f *file) reopen() error {
	err := f.open(0o600, nil)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := makeFolder(f.path); err != nil {
		return err
	}
	return f.open(0o600, nil)
}

// rotate gives the current file the name of an old one, begins a new one, and removes the oldest.
func (f *file) rotate(info fs.FileInfo) error {
	if err := f.rename(); err != nil {
		return fmt.Errorf("rotate %s: %w", f.path, err)
	}
	before, _ := info.Sys().(*syscall.Stat_t)
	if err := f.open(info.Mode().Perm(), before); err != nil {
		return err
	}
	f.prune()
	return nil
}

// renameTries is how many names of old files, a millisecond apart, are tried until one is free.
const renameTries = 100

// rename never replaces a file. Where the folder is not ours alone, another file than the current one may be renamed: whoever put it
// there could have done so himself.
func (f *file) rename() error {
	stem, ext := f.path[:len(f.path)-len(filepath.Ext(f.path))], filepath.Ext(f.path)
	at := f.now().UTC()
	var err error
	for range renameTries {
		old := stem + "-" + at.Format(rotatedTime) + ext
		err = unix.Renameat2(unix.AT_FDCWD, f.path, unix.AT_FDCWD, old, unix.RENAME_NOREPLACE)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) { // a file system, or seccomp, without it
			if _, statErr := os.Lstat(old); statErr == nil {
				err = unix.EEXIST
			} else {
				err = os.Rename(f.path, old)
			}
		}
		if !errors.Is(err, fs.ErrExist) {
			break
		}
		at = at.Add(time.Millisecond)
	}
	if errors.Is(err, fs.ErrNotExist) { // another runner has just done it
		return nil
	}
	return err
}

// prune removes old files beyond the number that stays, and those that are too old by their names. Others' files are not counted, and
// stay: their names may have any time.
func (f *file) prune() {
	files, err := Files(f.path)
	if err != nil {
		return
	}
	var own []string
	for _, name := range files {
		if name != f.path && isOwn(name) {
			own = append(own, name)
		}
	}
	oldest := f.now().Add(-f.age)
	for i, name := range own {
		if at, _ := rotatedAt(f.path, filepath.Base(name)); i < len(own)-f.keep || at.Before(oldest) {
			_ = os.Remove(name) // it is tried again at the next rotation
		}
	}
}

// isOwn reports whether a regular file is this process's user's.
func isOwn(name string) bool {
	info, err := os.Lstat(name)
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}
