package bpf

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"
)

// stranger is a local user that has nothing to do with the agent.
const stranger = 12002

// strangers runs a script as that user until the test ends.
func strangers(t *testing.T, script string, args ...string) {
	t.Helper()
	c := exec.Command("sh", append([]string{"-c", script, "sh"}, args...)...)
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: stranger, Gid: stranger}, Pdeathsig: syscall.SIGKILL}
	out, err := c.StdoutPipe()
	must(t, err)
	must(t, c.Start())
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	_, err = out.Read(make([]byte, 1)) // it prints something when it is under way
	must(t, err)
}

// victim is a directory that only root may change, and what is in it.
type victim struct {
	t    *testing.T
	path string
}

func newVictim(t *testing.T, top string) victim {
	t.Helper()
	v := victim{t, filepath.Join(top, "victim")}
	must(t, os.Mkdir(v.path, 0o755))
	must(t, os.Mkdir(filepath.Join(v.path, "v0123456789abcdef"), 0o755))
	must(t, os.WriteFile(filepath.Join(v.path, "file"), []byte("important"), 0o644))
	t.Cleanup(func() {
		for unix.Unmount(v.path, unix.MNT_DETACH) == nil {
		}
	})
	return v
}

// wantUntouched: nothing is mounted there, and modes, groups and files are as they were.
func (v victim) wantUntouched() {
	v.t.Helper()
	info, err := os.Stat(v.path)
	must(v.t, err)
	stat, ok := info.Sys().(*syscall.Stat_t)
	text, err := os.ReadFile(filepath.Join(v.path, "file"))
	if !ok || info.Mode().Perm() != 0o755 || stat.Gid != 0 || err != nil || string(text) != "important" || isBPFFS(v.path) {
		v.t.Fatalf("the other directory was changed: mode %v, group %d, file %q, %v, a BPF file system: %v", info.Mode(), stat.Gid, text, err, isBPFFS(v.path))
	}
	if names := entriesOf(v.t, v.path); strings.Join(names, " ") != "file v0123456789abcdef" {
		v.t.Fatalf("the other directory has %v", names)
	}
}

// open opens the folder as an agent does whose pins belong to another group.
func openForGroup(path string) error {
	p, err := openPins(PinOptions{Path: path, Mode: "0640", Group: "65534"})
	if err != nil {
		return err
	}
	return errors.Join(p.Close(), unix.Unmount(p.root, unix.MNT_DETACH))
}

// strangersTop returns a directory of a stranger's in one that is only root's.
func strangersTop(t *testing.T) (top, his string) {
	t.Helper()
	top = filepath.Dir(pinFolder(t, false))
	his = filepath.Join(top, "his")
	must(t, os.Mkdir(his, 0o755))
	must(t, os.Chown(his, stranger, stranger))
	return top, his
}

// TestPinsBelowAStrangersDirectory: an agent, which is root, changes nothing where somebody else could put a link to another directory.
func TestPinsBelowAStrangersDirectory(t *testing.T) {
	top, his := strangersTop(t)
	v := newVictim(t, top)
	must(t, os.Mkdir(filepath.Join(his, "bpf"), 0o755))
	must(t, os.Symlink(v.path, filepath.Join(his, "link")))
	must(t, os.Lchown(filepath.Join(his, "link"), stranger, stranger))
	must(t, os.Symlink(his, filepath.Join(top, "there")))
	shared := filepath.Join(top, "shared") // as /tmp
	must(t, os.Mkdir(shared, 0o777))
	must(t, os.Chmod(shared, 0o777|fs.ModeSticky))
	must(t, os.Mkdir(filepath.Join(shared, "taken"), 0o755))
	must(t, os.Chown(filepath.Join(shared, "taken"), stranger, stranger))
	must(t, os.Symlink(v.path, filepath.Join(shared, "link")))
	must(t, os.Lchown(filepath.Join(shared, "link"), stranger, stranger))
	open := filepath.Join(top, "open")
	must(t, os.Mkdir(open, 0o777))
	must(t, os.Chmod(open, 0o777))
	group := filepath.Join(top, "group")
	must(t, os.Mkdir(group, 0o775))
	must(t, errors.Join(os.Chown(group, 0, stranger), os.Chmod(group, 0o775)))
	loop := filepath.Join(top, "loop")
	must(t, os.Symlink(loop, loop))
	must(t, os.WriteFile(filepath.Join(top, "file"), nil, 0o600))

	for path, says := range map[string]string{
		filepath.Join(his, "bpf"):            his + " belongs to user 12002",
		filepath.Join(his, "new/bpf"):        his + " belongs to user 12002",
		filepath.Join(his, "link"):           his + " belongs to user 12002",
		filepath.Join(top, "there/bpf"):      his + " belongs to user 12002",
		filepath.Join(shared, "taken"):       "taken belongs to user 12002",
		filepath.Join(shared, "taken/bpf"):   "taken belongs to user 12002",
		filepath.Join(shared, "link"):        "link belongs to user 12002",
		filepath.Join(open, "bpf"):           open + " can be written by others (mode 0777)",
		filepath.Join(group, "bpf"):          group + " can be written by others (mode 0775)",
		filepath.Join(top, "there/../there"): his + " belongs to user 12002",
		loop:                                 "more than 40 symbolic links",
		filepath.Join(top, "file"):           "is no directory",
		filepath.Join(top, "file/bpf"):       "is no directory",
	} {
		if err := openForGroup(path); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", path, err, says)
		}
		v.wantUntouched()
	}
	_, err := Start(agentOptions(filepath.Join(his, "link")), zerolog.Nop())
	if !errors.Is(err, errPinPath) {
		t.Errorf("the agent's start: %v", err)
	}
	v.wantUntouched()
	for _, path := range []string{filepath.Join(top, "new/deep/bpf"), filepath.Join(shared, "own")} {
		if err := openForGroup(path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	must(t, os.Symlink(filepath.Join(top, "new"), filepath.Join(top, "run"))) // as /var/run
	if err := openForGroup(filepath.Join(top, "run/deep/bpf")); err != nil {
		t.Errorf("through root's own link: %v", err)
	}
}

// TestPinsUnderAStrangersSwaps: the stranger puts a directory and a link to another one in turn in the place of the folder, and of the
// directory above it, as fast as he can, while agents start.
func TestPinsUnderAStrangersSwaps(t *testing.T) {
	top, his := strangersTop(t)
	v := newVictim(t, top)
	strangers(t, `cd "$1"; mkdir -p real/bpf; ln -s "$2" link; ln -s "$2" real/link; echo
while :; do
	mv -T real at; mv -T at/bpf at/real; mv -T at/link at/bpf; mv -T at/bpf at/link; mv -T at/real at/bpf; mv -T at real
	mv -T link at; mv -T at link
done`, his, v.path)
	for range 300 {
		for _, path := range []string{filepath.Join(his, "at"), filepath.Join(his, "at/bpf"), filepath.Join(his, "real/bpf")} {
			if err := openForGroup(path); err == nil {
				t.Fatalf("%s: the agent has its pins where a stranger can replace them", path)
			}
		}
	}
	v.wantUntouched()
}

// TestStrangersPinsInAnOpenFileSystem: a BPF file system that was mounted without options can be written by everybody. What a stranger has
// made there, under the name of our folder of tables or of attachments, is not used.
func TestStrangersPinsInAnOpenFileSystem(t *testing.T) {
	inNamespace(t)
	for name, make := range map[string]func(path string) error{
		"a folder": func(path string) error { return errors.Join(os.Mkdir(path, 0o777), os.Chown(path, stranger, stranger)) },
		"a link": func(path string) error {
			return errors.Join(os.Symlink(t.TempDir(), path), os.Lchown(path, stranger, stranger))
		},
	} {
		for _, what := range []string{"tables", "links", "root"} {
			t.Run(name+" for "+what, func(t *testing.T) {
				if what == "links" {
					needTCX(t)
				}
				pins := pinFolder(t, true)
				folder := filepath.Join(pins, "links")
				path := pins
				switch what {
				case "tables":
					folder = tablesDir(t, pins)
				case "root":
					path = filepath.Join(pins, "sub")
					folder = path
				}
				must(t, make(folder))
				a, err := Start(agentOptions(path), zerolog.Nop())
				if err == nil {
					must(t, a.Close())
				}
				if !errors.Is(err, errPinPath) {
					t.Errorf("the agent's start: %v", err)
				}
				if n := attachedPrograms(t, "lo"); n != 0 {
					t.Errorf("%d programs are attached", n)
				}
			})
		}
	}
}
