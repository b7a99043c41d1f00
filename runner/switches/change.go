package switches

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"fivetuple/conf/safefile"
)

const (
	// lockSuffix names the file beside the switch file that a writer holds locked.
	lockSuffix = ".lock"

	fileMode   = 0o644 // any runner may read it
	folderMode = 0o755

	// lockWait is how long another writer may take, which needs milliseconds.
	lockWait = 5 * time.Second
)

// ErrLocked means that another writer does not finish.
var ErrLocked = errors.New("another writer has locked the switch file")

// Read returns what a file says; nothing is off if there is none.
func Read(path string) (Set, error) {
	f, err := open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Set{}, nil
	}
	if err != nil {
		return Set{}, err
	}
	set, err := readSet(f)
	return set, errors.Join(err, f.Close())
}

// open opens a regular file; anything else could keep the reader waiting.
func open(path string) (*os.File, error) {
	f, err := safefile.OpenRead(path, 0)
	if errors.Is(err, safefile.ErrUnsafe) {
		return nil, fmt.Errorf("%w: %w", ErrFile, err)
	}
	return f, err
}

func readSet(f *os.File) (Set, error) {
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return Set{}, err
	}
	return Parse(f.Name(), text)
}

// Change switches a route off or on in the file, and says whether it was not so before. The file is replaced whole or
// stays as it is; its folder is made if there is none. A file that is damaged is not changed: that would lose what it says.
func Change(ctx context.Context, path, id string, off bool) (set Set, changed bool, err error) {
	if err := CheckID(id); err != nil {
		return Set{}, false, err
	}
	if err := makeFolder(filepath.Dir(path)); err != nil {
		return Set{}, false, fmt.Errorf("make the switch file's folder: %w", err)
	}
	unlock, err := lock(ctx, path+lockSuffix)
	if err != nil {
		return Set{}, false, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() { // a rename would replace a link, not change its file
		return Set{}, false, fmt.Errorf("%w: %s: %v is no regular file", ErrFile, path, info.Mode())
	}
	before, err := Read(path)
	if err != nil {
		return Set{}, false, err
	}
	set, changed = before.with(id, off)
	if set.Len() > MaxIDs {
		return before, false, fmt.Errorf("%s: %d routes are off, at most that many can be", path, MaxIDs)
	}
	if !changed {
		return set, false, nil
	}
	if err := safefile.Replace(path, fileMode, set.text()); err != nil {
		return before, false, fmt.Errorf("write the switch file: %w", err)
	}
	return set, true, nil
}

// makeFolder makes a folder and those above it, passable for any runner whatever the process' umask is.
func makeFolder(path string) error {
	err := safefile.MakeDir(path, folderMode)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeFolder(filepath.Dir(path)); err != nil {
			return err
		}
		err = safefile.MakeDir(path, folderMode)
	}
	if errors.Is(err, fs.ErrExist) { // whatever it is, the next step says whether it is a folder
		return nil
	}
	return err
}

// lock keeps other writers out until the function that it returns is called. The lock's file stays: a writer that waits
// has it open.
func lock(ctx context.Context, path string) (unlock func() error, err error) {
	f, err := safefile.Open(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the switch file: %w", err)
	}
	if err := safefile.Lock(ctx, f, lockWait); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", ErrLocked, err), f.Close())
	}
	return f.Close, nil
}
