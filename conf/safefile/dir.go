package safefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// CheckDir reports why users other than root and that of this process can remove or replace the files of a directory: its owner is
// another user, or every user may write it without the sticky bit, or so it is of one of the directories above. With the sticky bit
// (/tmp) others can only take names that are free, which Open finds. A directory that does not exist yet is judged by those above it.
func CheckDir(path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for {
		if err := checkOne(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		above := filepath.Dir(path)
		if above == path {
			return nil
		}
		path = above
	}
}

func checkOne(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("stat %s: %w: %T", path, errors.ErrUnsupported, info.Sys())
	}
	switch own := os.Geteuid(); {
	case stat.Uid != 0 && int(stat.Uid) != own:
		return fmt.Errorf("directory %s: it belongs to user %d, who can replace what this process (user %d) keeps there: give it to user %d or root",
			path, stat.Uid, own, own)
	case stat.Mode&0o002 != 0 && stat.Mode&syscall.S_ISVTX == 0:
		return fmt.Errorf("directory %s: every user may write it, and replace what is there: chmod o-w it", path)
	}
	return nil
}
