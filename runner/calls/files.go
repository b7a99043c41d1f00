package calls

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// rotatedTime is how the names of old files have the time of their rotation, between the name and the extension.
const rotatedTime = "2006-01-02T15-04-05.000"

// Files returns the files of a log that are there, the oldest first, and the current one last.
func Files(file string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Dir(file))
	if err != nil {
		return nil, err
	}
	ext := filepath.Ext(file)
	prefix := strings.TrimSuffix(filepath.Base(file), ext) + "-"
	var old []string
	for _, e := range entries {
		stamp, ok := strings.CutPrefix(e.Name(), prefix)
		if !ok || !strings.HasSuffix(stamp, ext) {
			continue
		}
		if _, err := time.Parse(rotatedTime, strings.TrimSuffix(stamp, ext)); err == nil {
			old = append(old, filepath.Join(filepath.Dir(file), e.Name()))
		}
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
