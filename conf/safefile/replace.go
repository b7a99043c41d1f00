package safefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// newSuffix names the file beside one that is replaced, which becomes it.
const newSuffix = ".new"

// Replace writes a file beside the old one, and renames it when it is on the disk: the file is replaced whole or stays as it is. What
// lies in its way beside the old one is removed: it is of a writer that was killed. The caller keeps out other writers.
func Replace(path string, mode fs.FileMode, text []byte) (err error) {
	name := path + newSuffix
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("make %s: what is there cannot be removed: %w", name, err)
	}
	f, err := Open(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()) // the mode, whatever the process' umask is
	if err == nil {
		err = os.Rename(name, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(name))
	}
	return SyncDir(filepath.Dir(path))
}

// SyncDir has the names in a directory written to the disk.
func SyncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
