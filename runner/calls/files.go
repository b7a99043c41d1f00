package calls

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// rotatedTime is how the names of old files have the time of their rotation, between the name and the extension.
const rotatedTime = "2006-01-02T15-04-05.000"

// listAtOnce is how many names of a folder are read at once: others may have filled it.
const listAtOnce = 1024

// Files returns the files of a log that are there, the oldest first, and the current one last. Of old ones, regular files are.
func Files(file string) ([]string, error) {
	old, err := oldFiles(file)
	if err != nil {
		return nil, err
	}
	slices.Sort(old)
	switch _, err := os.Stat(file); {
	case err == nil:
		return append(old, file), nil
	case errors.Is(err, fs.ErrNotExist) && len(old) > 0:
		return old, nil
	default:
		return nil, err
	}
}

func oldFiles(file string) (old []string, err error) {
	folder, err := os.Open(filepath.Dir(file))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, folder.Close()) }()
	for {
		entries, err := folder.ReadDir(listAtOnce)
		for _, e := range entries {
			if _, ok := rotatedAt(file, e.Name()); ok && e.Type().IsRegular() {
				old = append(old, filepath.Join(filepath.Dir(file), e.Name()))
			}
		}
		if errors.Is(err, io.EOF) {
			return old, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// rotatedAt returns when an old file was rotated, by its name; false: the name is not that of an old file.
func rotatedAt(file, name string) (time.Time, bool) {
	ext := filepath.Ext(file)
	stamp, ok := strings.CutPrefix(name, strings.TrimSuffix(filepath.Base(file), ext)+"-")
	if !ok || !strings.HasSuffix(stamp, ext) {
		return time.Time{}, false
	}
	at, err := time.Parse(rotatedTime, strings.TrimSuffix(stamp, ext))
	return at, err == nil
}
