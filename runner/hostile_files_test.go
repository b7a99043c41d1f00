package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"fivetuple/conf"
	"fivetuple/examples/lab"
)

// as acts as an attacker.
func as(t *testing.T, run func() error) {
	t.Helper()
	if err := lab.AsUser(t, lab.Attacker, run); err != nil {
		t.Fatal(err)
	}
}

// hostileBench is a bench whose folder every user may write, and a file of root's that an attacker is after.
func hostileBench(t *testing.T) (b *bench, victim string) {
	t.Helper()
	b = newBench(t, 0)
	victim = filepath.Join(t.TempDir(), "victim")
	must(t, os.WriteFile(victim, []byte("precious"), 0o600))
	must(t, os.Chmod(filepath.Dir(filepath.Dir(victim)), 0o755))
	must(t, os.Chmod(filepath.Dir(victim), 0o755))
	must(t, os.Chmod(b.dir, 0o777))
	return b, victim
}

// TestRunnerInAHostileDirectory: whatever an attacker has put in the place of each file of a root runner, it starts, serves, says what is
// wrong, and harms no other file.
func TestRunnerInAHostileDirectory(t *testing.T) {
	names := []string{"fivetuple.tokens", "calls.jsonl", "baseline", "baseline.new", "switches.yaml", "s.control"}
	for kind, plant := range map[string]func(path, victim string) error{
		"symbolic links": func(path, victim string) error { return os.Symlink(victim, path) },
		"named pipes":    func(path, _ string) error { return unix.Mkfifo(path, 0o666) },
		"files":          func(path, _ string) error { return os.WriteFile(path, []byte("[]\n"), 0o666) },
		"directories":    func(path, _ string) error { return os.MkdirAll(filepath.Join(path, "full"), 0o777) },
	} {
		t.Run(kind, func(t *testing.T) {
			b, victim := hostileBench(t)
			as(t, func() error {
				var errs []error
				for _, name := range names {
					errs = append(errs, plant(filepath.Join(b.dir, name), victim))
				}
				return errors.Join(errs...)
			})
			p := b.start().ready()
			for _, want := range []string{"other users can remove or replace a file of this process", "token numbers", "calls are not logged"} {
				if p.count(want) == 0 {
					t.Errorf("nothing is logged about %q", want)
				}
			}
			l := b.load(2)
			l.more(20)
			l.wantNoneFailed()
			p.terminate()
			must(t, p.ends())
			if text, err := os.ReadFile(victim); err != nil || string(text) != "precious" {
				t.Errorf("the victim has %q, %v", text, err)
			}
		})
	}
}

// TestFolderOfOthers is named at start, and one that is not is silent.
func TestFolderOfOthers(t *testing.T) {
	b, _ := hostileBench(t)
	var log bytes.Buffer
	warnOfFolders(zerolog.New(&log), "", filepath.Join(b.dir, "s"), filepath.Join(t.TempDir(), "own"))
	if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, b.dir+": every user may write it") {
		t.Error(text)
	}
}

// TestSettingsOfAnAttacker: a pipe in the place of the settings does not keep a command waiting.
func TestSettingsOfAnAttacker(t *testing.T) {
	b, _ := hostileBench(t)
	path := filepath.Join(b.dir, "pipe.yaml")
	as(t, func() error { return unix.Mkfifo(path, 0o666) })
	if _, err := conf.Load(path); err == nil || !strings.Contains(err.Error(), "it is a named pipe") {
		t.Error(err)
	}
}
