package bpf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// errPinPath means that somebody else could put something in the place of the pins' folder.
var errPinPath = errors.New("others can replace it")

// maxLinks bounds the symbolic links on the way to the folder of pins, as the kernel does.
const maxLinks = 40

// trustedPath returns the path of the folder of pins without symbolic links, and makes what is missing above its last element. Whoever
// may write a directory on the way, or owns one, can put another directory or a link in the place of what follows, at any moment: the
// agent, which is root, would mount a file system there, change its owner's group and mode, and remove what it takes for old tables. So each
// directory, and each that a link leads through, has to be root's or the agent's own, and closed to others; with the sticky bit (/tmp) they
// may make what is not there yet, which is then found to be theirs.
func trustedPath(path string) (string, error) {
	const root = "/"
	if err := trusted(root); err != nil {
		return "", err
	}
	at, rest := root, elements(path)
	for links := 0; len(rest) > 0; {
		next := filepath.Join(at, rest[0])
		info, err := os.Lstat(next)
		if errors.Is(err, fs.ErrNotExist) && len(rest) > 1 {
			if err := os.Mkdir(next, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
				return "", fmt.Errorf("make folder for pins: %w", err)
			}
			continue
		}
		if errors.Is(err, fs.ErrNotExist) {
			return next, nil
		}
		if err == nil {
			err = trusted(next)
		}
		if err != nil {
			return "", err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			at, rest = next, rest[1:]
			continue
		}
		target, err := os.Readlink(next)
		if links++; err != nil || links > maxLinks {
			return "", errors.Join(fmt.Errorf("pins.path: %s: more than %d symbolic links", path, maxLinks), err)
		}
		if filepath.IsAbs(target) {
			at = root
		}
		// Not cleaned: what comes before ".." may be a link.
		rest = append(elements(target), rest[1:]...)
	}
	return at, nil
}

func elements(path string) []string {
	return strings.FieldsFunc(path, func(c rune) bool { return c == '/' })
}

// trusted reports why others could change what a directory or a link leads to.
func trusted(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return fmt.Errorf("look at the folder of pins: %w", err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("stat %s: %w", path, errors.ErrUnsupported)
	}
	own := uint32(os.Geteuid())
	switch mode := info.Mode(); {
	case stat.Uid != 0 && stat.Uid != own:
		return fmt.Errorf("pins.path: %s belongs to user %d: %w; choose a folder below directories of root's", path, stat.Uid, errPinPath)
	case mode&fs.ModeSymlink != 0: // has no mode of its own
	case !mode.IsDir():
		return fmt.Errorf("pins.path: %s is no directory", path)
	case mode&fs.ModeSticky == 0 && (mode&0o002 != 0 || mode&0o020 != 0 && stat.Gid != 0 && stat.Gid != uint32(os.Getegid())):
		return fmt.Errorf("pins.path: %s can be written by others (mode %#o): %w; take that right away, or choose another folder", path, mode.Perm(), errPinPath)
	}
	return nil
}
