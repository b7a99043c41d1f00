package switches

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// change changes the file and wants no error.
func change(t *testing.T, path, id string, off bool) (Set, bool) {
	t.Helper()
	set, changed, err := Change(t.Context(), path, id, off)
	if err != nil {
		t.Fatal(err)
	}
	return set, changed
}

func TestChange(t *testing.T) {
	old := syscall.Umask(0o077) // a file that only its writer can read is of no use
	defer syscall.Umask(old)
	path := filepath.Join(t.TempDir(), "a", "b", "s.yaml")
	for _, c := range []struct {
		id      string
		off     bool
		changed bool
		want    []string
	}{
		{"b", true, true, []string{"b"}},
		{"b", true, false, []string{"b"}},
		{"a", true, true, []string{"a", "b"}},
		{"global", true, true, []string{"a", "b", "global"}},
		{"b", false, true, []string{"a", "global"}},
		{"b", false, false, []string{"a", "global"}},
		{"a", false, true, []string{"global"}},
		{"global", false, true, nil},
	} {
		set, changed := change(t, path, c.id, c.off)
		read, err := Read(path)
		if err != nil || changed != c.changed || !slices.Equal(set.IDs(), c.want) || !slices.Equal(read.IDs(), c.want) {
			t.Errorf("%s off %v: %v, changed %v; read %v, %v; want %v", c.id, c.off, set.IDs(), changed, read.IDs(), err, c.want)
		}
	}
	for name, want := range map[string]os.FileMode{
		path: 0o644, filepath.Dir(path): 0o755 | os.ModeDir, filepath.Dir(filepath.Dir(path)): 0o755 | os.ModeDir,
	} {
		if info, err := os.Stat(name); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v, want %v", name, info.Mode(), err, want)
		}
	}
	checkFolder(t, path)
}

// checkFolder wants nothing in the file's folder but the file and its lock.
func checkFolder(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 2 || entries[0].Name() != "s.yaml" || entries[1].Name() != "s.yaml.lock" {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// TestNoFile: where nothing is off, switching on makes no file.
func TestNoFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.yaml")
	if set, changed := change(t, path, "a", false); changed || set.Len() != 0 {
		t.Errorf("%v, changed %v", set.IDs(), changed)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file was made to say nothing: %v", err)
	}
}

// TestWritersDoNotLoseEachOthersChanges: all changes are in the file, and whoever reads meanwhile reads a whole one.
func TestWritersDoNotLoseEachOthersChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.yaml")
	ctx, stop := context.WithCancel(t.Context())
	var readers, writers sync.WaitGroup
	readers.Go(func() {
		for n := 0; ctx.Err() == nil; {
			set, err := Read(path)
			if err != nil || set.Len() < n {
				t.Errorf("%d ids off after %d: %v", set.Len(), n, err)
				return
			}
			n = set.Len()
		}
	})
	for w := range 8 {
		writers.Go(func() {
			for i := range 10 {
				if _, changed, err := Change(ctx, path, fmt.Sprintf("w%d-%d", w, i), true); err != nil || !changed {
					t.Errorf("changed %v, %v", changed, err)
				}
			}
		})
	}
	writers.Wait()
	stop()
	readers.Wait()
	if set, err := Read(path); err != nil || set.Len() != 80 {
		t.Errorf("%d changes of 80 are there, %v", set.Len(), err)
	}
	checkFolder(t, path)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestChangeRefuses: what cannot be done changes nothing.
func TestChangeRefuses(t *testing.T) {
	long := manyIDs()
	for name, c := range map[string]struct {
		text, id string
		want     string
	}{
		"wrong id":     {"- a\n", "a/b", `"a/b" is not an id of 1 to 64 letters, digits and _.-`},
		"no id":        {"- a\n", "", `"" is not an id`},
		"damaged file": {"- a\n- b c\n", "x", `s.yaml:2: [1]: "b c" is not an id`},
		"cut file":     {"", "x", `s.yaml: no list`},
		"full":         {string(long.text()), "x", `65536 routes are off, at most that many can be`},
	} {
		path := filepath.Join(t.TempDir(), "s.yaml")
		write(t, path, c.text)
		_, changed, err := Change(t.Context(), path, c.id, true)
		text, readErr := os.ReadFile(path)
		if err == nil || changed || !strings.Contains(err.Error(), c.want) || string(text) != c.text || readErr != nil {
			t.Errorf("%s: changed %v, %.200v, want %s; %v", name, changed, err, c.want, readErr)
		}
	}
}

// TestWhatIsNoFileIsRefused, and does not keep anybody waiting.
func TestWhatIsNoFileIsRefused(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	write(t, target, "- a\n")
	paths := map[string]string{"link": filepath.Join(dir, "link"), "pipe": filepath.Join(dir, "pipe"), "folder": filepath.Join(dir, "folder")}
	err := errors.Join(os.Symlink(target, paths["link"]), unix.Mkfifo(paths["pipe"], 0o600), os.Mkdir(paths["folder"], 0o700))
	if err != nil {
		t.Fatal(err)
	}
	for name, path := range paths {
		if _, changed, err := Change(t.Context(), path, "b", true); !errors.Is(err, ErrFile) || changed {
			t.Errorf("%s: changed %v, %v", name, changed, err)
		}
		if set, err := Read(path); name != "link" && (!errors.Is(err, ErrFile) || set.Len() > 0) {
			t.Errorf("%s: %v, %v", name, set.IDs(), err)
		}
	}
	if set, err := Read(paths["link"]); err != nil || !set.Off(routeOf("a")) { // as a mounted configuration is
		t.Errorf("link: %v, %v", set.IDs(), err)
	}
}

// TestAWriterThatDoesNotFinish: others give up, and say so.
func TestAWriterThatDoesNotFinish(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.yaml")
	unlock, err := lock(t.Context(), path+lockSuffix)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, changed, err := Change(ctx, path, "a", true); !errors.Is(err, ErrLocked) || changed {
		t.Errorf("changed %v, %v", changed, err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	change(t, path, "a", true)
}

// TestAWriterThatWasKilled leaves half a file beside the whole one.
func TestAWriterThatWasKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.yaml")
	change(t, path, "a", true)
	write(t, path+".new", "- a\n- b")
	if set, _ := change(t, path, "c", true); !slices.Equal(set.IDs(), []string{"a", "c"}) {
		t.Error(set.IDs())
	}
	checkFolder(t, path)
}

// TestAWriteThatFails: the old file stays, and nothing is left beside it.
func TestAWriteThatFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.yaml")
	change(t, path, "a", true)
	if err := os.MkdirAll(filepath.Join(path+".new", "full"), 0o700); err != nil { // cannot be removed, nor made
		t.Fatal(err)
	}
	if _, changed, err := Change(t.Context(), path, "b", true); err == nil || changed {
		t.Errorf("changed %v, %v", changed, err)
	}
	if set, err := Read(path); err != nil || !slices.Equal(set.IDs(), []string{"a"}) {
		t.Errorf("%v, %v", set.IDs(), err)
	}
}
