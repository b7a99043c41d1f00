package calls

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"syscall"
	"time"

	"fivetuple/conf/safefile"
)

const (
	// followEvery is how often a followed log is looked at.
	followEvery = 200 * time.Millisecond
	// listTries is how often the files are listed until none was rotated meanwhile.
	listTries = 10
)

// Follow reads the log's files, then goes on with what is added, until the context ends: over the runner's own rotation, and over
// logrotate's, by a new name or by copytruncate. A log that is not there yet is waited for.
func (r *Reader) Follow(ctx context.Context, file string) error {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		if err := r.step(file); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			if r.file == nil {
				return nil
			}
			return r.file.Close() // a line that is still being written is left
		case <-tick.C:
		}
	}
}

// step reads what is there: the rest of the file at hand, and those that came after it.
func (r *Reader) step(file string) error {
	for {
		if r.file != nil {
			if err := r.checkTruncation(); err != nil {
				return err
			}
			if err := r.toEnd(); err != nil {
				return err
			}
		}
		next, err := r.next(file)
		if err != nil || next == nil {
			return err
		}
		if r.file != nil { // what was added before it was renamed
			if err := errors.Join(r.toEnd(), r.close()); err != nil {
				return errors.Join(err, next.Close())
			}
		}
		r.begin(next)
	}
}

// next opens the file after the one at hand; nil if there is none.
func (r *Reader) next(file string) (*os.File, error) {
	files, err := listed(file)
	if err != nil || len(files) == 0 {
		return nil, err
	}
	i := 0
	if r.file != nil {
		at, err := r.file.Stat()
		if err != nil {
			return nil, err
		}
		i = 1 + slices.IndexFunc(files, func(f listedFile) bool { return os.SameFile(f.info, at) })
		if i == 0 && !isRemoved(at) { // somebody has given it a name that is none of the log's
			i = len(files) - 1
		} // else it was removed, as too old: all that are left came after it
	}
	if i == len(files) {
		return nil, nil //nolint:nilnil // there is none, which is no error
	}
	f, err := safefile.OpenRead(files[i].name, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // it was renamed meanwhile: the next step finds it
	} else if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !os.SameFile(info, files[i].info) {
		return nil, errors.Join(err, f.Close()) // as above
	}
	return f, nil
}

type listedFile struct {
	name string
	info os.FileInfo
}

// listed returns the log's files as they were at one moment, between two rotations.
func listed(file string) ([]listedFile, error) {
	for range listTries {
		names, err := Files(file)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		} else if err != nil {
			return nil, err
		}
		var files []listedFile
		for _, name := range names {
			if info, err := os.Stat(name); err == nil {
				files = append(files, listedFile{name, info})
			}
		}
		if again, err := Files(file); err == nil && slices.Equal(names, again) && len(files) == len(names) {
			return files, nil
		}
	}
	return nil, nil
}

func isRemoved(info os.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && stat.Nlink == 0
}
