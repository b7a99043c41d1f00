package switches

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"fivetuple/correlator"
)

func routeOf(id string) correlator.Route { return correlator.Route{Route: id} }

// following is a follower that looks when it is told to.
type following struct {
	*Follower
	t   *testing.T
	log bytes.Buffer
}

func follow(t *testing.T, path string) *following {
	t.Helper()
	f := &following{t: t}
	f.Follower = newFollower(path, zerolog.New(&f.log))
	t.Cleanup(func() { f.keep(nil) })
	return f
}

// check looks, and wants this to be off and so many lines more in the log.
func (f *following) check(what string, off []string, lines int) {
	f.t.Helper()
	f.look(time.Now())
	if got := f.current.Load().IDs(); !slices.Equal(got, off) {
		f.t.Errorf("%s: off are %v, want %v", what, got, off)
	}
	if got := strings.Count(f.log.String(), "\n"); got != lines {
		f.t.Errorf("%s: %d lines in the log, want %d:\n%s", what, got, lines, &f.log)
	}
	f.log.Reset()
}

func TestFollow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "folder", "s.yaml")
	f := follow(t, path)
	f.check("no folder", nil, 0)
	change(t, path, "a", true)
	f.check("a", []string{"a"}, 1)
	f.check("unchanged", []string{"a"}, 0)
	change(t, path, "b", true)
	change(t, path, "a", false)
	f.check("b", []string{"b"}, 1)
	change(t, path, "c", true)
	change(t, path, "c", false)
	f.check("back", []string{"b"}, 0)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	f.check("gone", nil, 1)
	f.check("still gone", nil, 0)
	change(t, path, "d", true)
	f.check("d", []string{"d"}, 1)
	if err := os.RemoveAll(filepath.Dir(path)); err != nil {
		t.Fatal(err)
	}
	f.check("folder gone", nil, 1)
}

// TestADamagedFile is told once, by place and value; the last good one stays in force until there is another.
func TestADamagedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.yaml")
	change(t, path, "a", true)
	f := follow(t, path)
	f.check("a", []string{"a"}, 1)
	write(t, path, "- a\n- b c\n")
	f.look(time.Now())
	if want := path + `:2: [1]: \"b c\" is not an id`; !strings.Contains(f.log.String(), want) || !strings.Contains(f.log.String(), `"level":"error"`) {
		t.Errorf("logged %s\nwant %s", &f.log, want)
	}
	f.check("damaged", []string{"a"}, 1)
	f.check("damaged still", []string{"a"}, 0)
	write(t, path, "- a\n-")
	f.check("damaged otherwise", []string{"a"}, 1)
	write(t, path, "")
	f.check("empty", []string{"a"}, 1)
	write(t, path, "- a\n")
	f.check("as before", []string{"a"}, 1)
	write(t, path, "[]")
	f.check("good again", nil, 1)
}

// TestAFileThatIsDamagedAtTheStart: the runner starts, and nothing is off.
func TestAFileThatIsDamagedAtTheStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.yaml")
	write(t, path, "off")
	f := follow(t, path)
	f.check("at the start", nil, 1)
	write(t, path, "- a")
	f.check("good", []string{"a"}, 1)
}

func TestAFileThatCannotBeRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.yaml")
	change(t, path, "a", true)
	f := follow(t, path)
	f.check("a", []string{"a"}, 1)
	if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
		t.Fatal(err)
	}
	f.check("a folder", []string{"a"}, 1)
	f.check("a folder still", []string{"a"}, 0)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	f.check("gone", nil, 1)
}

// TestAnotherFileOfTheSameLook is seen: same size and same time, written in place.
func TestAnotherFileOfTheSameLook(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.yaml")
	write(t, path, "- a")
	f := follow(t, path)
	f.check("a", []string{"a"}, 1)
	for range 100 { // some of them within one tick of the file system's clock
		write(t, path, "- b")
		f.check("b", []string{"b"}, 1)
		write(t, path, "- a")
		f.check("a", []string{"a"}, 1)
	}
}

// TestAnOldFileIsNotReadAgain: it costs a stat.
func TestAnOldFileIsNotReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.yaml")
	change(t, path, "a", true)
	f := follow(t, path)
	later := time.Now().Add(2 * settle)
	f.look(later)
	file := f.file
	if f.look(later); f.file != file || f.seen == (version{}) {
		t.Error("an old file was read again")
	}
	old := time.Now().Add(-time.Hour) // as a copy that keeps the times has
	change(t, path, "b", true)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	f.check("an older one", []string{"a", "b"}, 2)
}

// TestFollowed: a writer learns that a runner has taken what it wrote.
func TestFollowed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.yaml")
	checkFollowed := func(what string, want bool) {
		t.Helper()
		if got, err := Followed(path); err != nil || got != want {
			t.Errorf("%s: followed %v, %v, want %v", what, got, err, want)
		}
	}
	if _, err := Followed(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	change(t, path, "a", true)
	checkFollowed("no runner", false)
	one, two := follow(t, path), follow(t, path)
	checkFollowed("two runners", true)
	checkFollowed("asked again", true)
	change(t, path, "b", true)
	checkFollowed("not yet", false)
	one.look(time.Now())
	checkFollowed("one of them", true)
	one.keep(nil)
	checkFollowed("that has ended", false)
	two.look(time.Now())
	checkFollowed("the other", true)
	write(t, path, "x")
	two.look(time.Now())
	checkFollowed("a file that is not in force", false)
}

// TestARestart: what is off stays off, from the first call on.
func TestARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.yaml")
	change(t, path, "a", true)
	for range 2 {
		f := Follow(path, zerolog.Nop())
		if !f.Off(routeOf("a")) || f.Off(routeOf("b")) {
			t.Error("what is off is forgotten")
		}
		f.Close()
		if followed, err := Followed(path); followed || err != nil {
			t.Errorf("followed %v by one that has ended, %v", followed, err)
		}
	}
}

// TestConcurrently: calls ask while the file changes.
func TestConcurrently(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.yaml")
	f := follow(t, path)
	end := make(chan struct{})
	var calls sync.WaitGroup
	for range 4 {
		calls.Go(func() {
			for {
				select {
				case <-end:
					return
				default:
				}
				if f.Off(routeOf("b")) {
					t.Error("b is off")
					return
				}
			}
		})
	}
	for i := range 50 {
		change(t, path, "a", i%2 == 0)
		f.look(time.Now())
		if f.Off(routeOf("a")) != (i%2 == 0) {
			t.Fatal("a change was not seen")
		}
	}
	close(end)
	calls.Wait()
}
