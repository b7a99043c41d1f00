package calls

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// follower is a Reader that follows a log, and the numbers of the calls that it has read.
type follower struct {
	stop  context.CancelFunc
	ended chan error

	mu      sync.Mutex
	got     []string
	damages []error
}

func follow(t *testing.T, file string) *follower {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	f := &follower{stop: stop, ended: make(chan error, 1)}
	r := NewReader(func(l *Line) error {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.got = append(f.got, requestNumber(string(l.Text)))
		return nil
	}, func(err error) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.damages = append(f.damages, err)
	})
	go func() { f.ended <- r.Follow(ctx, file) }()
	return f
}

// requestNumber returns the number of a line's call on its connection.
func requestNumber(line string) string {
	_, after, _ := strings.Cut(line, `"connection_requests":`)
	number, _, _ := strings.Cut(after, ",")
	return number
}

// has reports whether a call was read.
func (f *follower) has(number string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Contains(f.got, number)
}

// end ends following, and returns what was read.
func (f *follower) end(t *testing.T) []string {
	t.Helper()
	f.stop()
	if err := <-f.ended; err != nil {
		t.Error(err)
	}
	for _, err := range f.damages {
		t.Error(err)
	}
	return f.got
}

// logrotate runs Debian's logrotate once, by force.
func logrotate(t *testing.T, dir, file, settings string) {
	t.Helper()
	program, err := exec.LookPath("logrotate")
	if err != nil {
		if program = "/usr/sbin/logrotate"; !isThere(program) {
			skip(t, "no logrotate")
		}
	}
	conf := filepath.Join(dir, "logrotate.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, "%s {\n rotate 100\n %s\n}\n", file, settings), 0o644); err != nil { //nolint:gosec // logrotate refuses others
		t.Fatal(err)
	}
	out, err := exec.Command(program, "--force", "--state", filepath.Join(dir, "state"), conf).CombinedOutput() //nolint:gosec // what was looked up
	if err != nil {
		t.Fatalf("logrotate: %v\n%s", err, out)
	}
}

func isThere(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func skip(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("FIVETUPLE_NO_SKIP") == "1" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// TestFollowLogrotate has Debian's logrotate rotate the log while a runner writes and a reader follows. The reader reads every line that
// is in one of the files afterwards, once and in order. In none of them is what the runner wrote between logrotate's copy and its
// truncation.
func TestFollowLogrotate(t *testing.T) {
	for name, settings := range map[string]string{
		"copytruncate":                         "copytruncate",
		"copytruncate, compressed":             "copytruncate\n compress",
		"copytruncate, named by date":          "copytruncate\n dateext\n dateformat -%Y%m%d-%s",
		"copytruncate, with an extension":      "copytruncate\n extension .jsonl\n compress",
		"renamed, made by logrotate":           "create 0600",
		"renamed, made by logrotate, by date":  "create 0600\n dateext\n dateformat -%Y%m%d-%s\n compress\n delaycompress",
		"renamed, made by the runner":          "nocreate",
		"renamed, made by the runner, and .gz": "nocreate\n compress",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(t)
			l := open(t, o)
			f := follow(t, o.File)
			stop, written := make(chan struct{}), make(chan uint64, 1)
			go func() {
				for n := uint64(1); ; n++ {
					select {
					case <-stop:
						written <- n - 1
						return
					case <-time.After(5 * time.Millisecond):
						putAndWait(t, l, n)
					}
				}
			}()
			const between = 1100 * time.Millisecond // names by date have seconds
			for range 3 {
				time.Sleep(between)
				logrotate(t, filepath.Dir(filepath.Dir(o.File)), o.File, settings)
			}
			time.Sleep(between)
			close(stop)
			last := <-written
			waitFor(t, func() bool { return f.has(numberText(last)) })
			checkFollowed(t, f.end(t), inFiles(t, filepath.Dir(o.File)), last, strings.HasPrefix(settings, "copytruncate"))
		})
	}
}

// checkFollowed compares the calls that were read with those in the log's files, and with those that were written.
func checkFollowed(t *testing.T, got []string, inFiles map[string]bool, written uint64, logrotateLoses bool) {
	t.Helper()
	lost, at := 0, 0
	for n := uint64(1); n <= written; n++ {
		number := numberText(n)
		switch {
		case at < len(got) && got[at] == number:
			at++
		case inFiles[number] || !logrotateLoses:
			t.Errorf("call %s was not read", number)
		default:
			lost++
		}
	}
	if at != len(got) {
		t.Errorf("after call %d of %d comes %s", at, len(got), got[at])
	}
	t.Logf("%d written, %d read, %d lost by logrotate", written, len(got), lost)
}

// inFiles returns the calls that are in a folder's files, compressed or not.
func inFiles(t *testing.T, dir string) map[string]bool {
	t.Helper()
	out, err := exec.Command("sh", "-c", "for f in \"$1\"/*; do zcat -f \"$f\"; done", "sh", dir).Output()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		all[requestNumber(line)] = true
	}
	return all
}
