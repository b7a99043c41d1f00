package calls

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
	"gopkg.in/natefinch/lumberjack.v2"
)

// rotatePause is the shortest time between two rotations: the old file's name has the time in milliseconds.
const rotatePause = 10 * time.Millisecond

// file is the log's current file. While a runner takes another's place, both write to it, whole lines each: so it is always
// opened for appending, which the library does with a file that is there, but not with one that it makes; and one that
// somebody else has rotated is left.
type file struct {
	lumberjack.Logger
	size    int64 // of a file in bytes, from which on a new one begins
	inode   uint64
	rotated time.Time
}

// openFile makes the folder, and checks that lines can be written.
func openFile(o *Options) (*file, error) {
	if err := os.MkdirAll(filepath.Dir(o.File), 0o750); err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	f := &file{size: o.RotateBytes}
	f.Filename, f.MaxBackups, f.MaxAge = o.File, o.RotateKeep, o.RotateDays
	f.MaxSize = int(o.RotateBytes>>20) + 2 // MiB: ours comes first
	return f, f.create()
}

// create makes the file if it is not there.
func (f *file) create() error {
	made, err := os.OpenFile(f.Filename, os.O_CREATE|os.O_APPEND|os.O_WRONLY|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return err
	}
	_, err = f.stat()
	return errors.Join(err, made.Close())
}

// stat looks at the current file, which has to be a regular one: the library would move anything else out of its way.
func (f *file) stat() (info unix.Stat_t, err error) {
	err = unix.Stat(f.Filename, &info)
	if err == nil && info.Mode&unix.S_IFMT != unix.S_IFREG {
		err = errNotRegular
	}
	if err != nil {
		err = &fs.PathError{Op: "stat", Path: f.Filename, Err: err}
	}
	return info, err
}

var errNotRegular = errors.New("not a regular file")

// endsTorn says whether the file ends in the middle of a line: whoever wrote it was killed, or its host was, or does so right now.
func (f *file) endsTorn() bool {
	r, err := os.Open(f.Filename)
	if err != nil {
		return false // it can be written, and that is enough
	}
	defer r.Close() //nolint:errcheck // only read
	if _, err := r.Seek(-1, io.SeekEnd); err != nil {
		return false // it is empty
	}
	last := make([]byte, 1)
	_, err = r.Read(last)
	return err == nil && last[0] != '\n'
}

// Write appends whole lines.
func (f *file) Write(lines []byte) (int, error) {
	if err := f.prepare(int64(len(lines))); err != nil {
		return 0, err
	}
	return f.Logger.Write(lines)
}

// prepare makes the current file one that has room, opened for appending.
func (f *file) prepare(room int64) error {
	info, err := f.stat()
	if err == nil && info.Size > 0 && info.Size+room > f.size && time.Since(f.rotated) >= rotatePause {
		f.rotated = time.Now()
		if err := f.Rotate(); err != nil {
			return err
		}
		_ = f.Close() // it has nothing in it yet; the next write opens it for appending
		info, err = f.stat()
	}
	if errors.Is(err, fs.ErrNotExist) { // somebody has deleted it
		_ = f.Close()
		if err := f.create(); err != nil {
			return err
		}
		info, err = f.stat()
	}
	if err == nil && info.Ino != f.inode {
		f.inode = info.Ino
		_ = f.Close() // of the file that was the current one
	}
	return err
}
