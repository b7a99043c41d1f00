package safefile

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"fivetuple/examples/lab"
)

// as runs a part of a test as an attacker.
func as(t *testing.T, run func() error) {
	t.Helper()
	if err := lab.AsUser(t, lab.Attacker, run); err != nil {
		t.Fatal(err)
	}
}

// hostile returns a directory that every user may write, and a file of root's that an attacker is after.
func hostile(t *testing.T, mode fs.FileMode) (dir, victim string) {
	t.Helper()
	base := t.TempDir()
	dir, victim = filepath.Join(base, "shared"), filepath.Join(base, "victim")
	if err := errors.Join(os.Chmod(base, 0o755), os.Chmod(filepath.Dir(base), 0o755), os.Mkdir(dir, 0o700), os.Chmod(dir, mode),
		os.WriteFile(victim, []byte("precious"), 0o600)); err != nil {
		t.Fatal(err)
	}
	return dir, victim
}

func TestOpenOfAnAttackersFiles(t *testing.T) {
	for _, c := range []struct {
		name, want string
		plant      func(path, victim string) error // as the attacker
		root       func(path, victim string) error // as root: fs.protected_hardlinks may keep the attacker from it
	}{
		{"symbolic link", "it is a symbolic link", func(path, victim string) error { return os.Symlink(victim, path) }, nil},
		{"dangling link", "it is a symbolic link", func(path, victim string) error { return os.Symlink(victim+".new", path) }, nil},
		{"named pipe", "it is a named pipe", func(path, _ string) error { return unix.Mkfifo(path, 0o666) }, nil},
		{"socket", "it is a socket", func(path, _ string) error {
			l, err := net.Listen("unix", path)
			if err == nil {
				l.(*net.UnixListener).SetUnlinkOnClose(false)
				err = l.Close()
			}
			return err
		}, nil},
		{"directory", "is a directory", func(path, _ string) error { return os.Mkdir(path, 0o777) }, nil},
		{"file", "it belongs to user 12002, and this process runs as user 0: remove it", func(path, _ string) error {
			return errors.Join(os.WriteFile(path, []byte("forged"), 0o666), os.Chmod(path, 0o666))
		}, nil},
		{"hard link", "it is a hard link: the file has 2 names", nil, func(path, victim string) error { return os.Link(victim, path) }},
		{"device", "it is a device", nil, func(path, _ string) error { return unix.Mknod(path, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, victim := hostile(t, 0o777|os.ModeSticky)
			path := filepath.Join(dir, "file")
			if c.plant != nil {
				as(t, func() error { return c.plant(path, victim) })
			} else if err := c.root(path, victim); err != nil {
				t.Skipf("root cannot make it here: %v", err)
			}
			for _, flags := range []int{os.O_RDWR | os.O_CREATE, os.O_WRONLY | os.O_APPEND | os.O_CREATE, os.O_RDONLY} {
				f, err := Open(path, flags, 0o600)
				if err == nil {
					_ = f.Close()
				}
				if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
					t.Errorf("flags %#x: %v, want %q", flags, err, c.want)
				}
			}
			if err := Replace(path, 0o600, []byte("ours")); c.name == "directory" {
				if err == nil {
					t.Error("a directory was replaced")
				}
			} else if text, readErr := os.ReadFile(path); err != nil || readErr != nil || string(text) != "ours" {
				t.Errorf("replace: %v, %v, %q", err, readErr, text)
			}
			if text, err := os.ReadFile(victim); err != nil || string(text) != "precious" {
				t.Errorf("the victim: %q, %v", text, err)
			}
			if _, err := os.Lstat(victim + ".new"); err == nil {
				t.Error("a file was made behind a dangling link")
			}
		})
	}
}

// TestReplaceBesideAnAttacker: the name of the file beside the old one is taken.
func TestReplaceBesideAnAttacker(t *testing.T) {
	dir, victim := hostile(t, 0o777)
	path := filepath.Join(dir, "file")
	as(t, func() error { return os.Symlink(victim, path+newSuffix) })
	if err := Replace(path, 0o640, []byte("ours")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(path)
	if text, readErr := os.ReadFile(victim); err != nil || info.Mode() != 0o640 || readErr != nil || string(text) != "precious" {
		t.Errorf("%v, %v, victim %q, %v", info, err, text, readErr)
	}
}

// TestReplaceInARace: an attacker puts links in the way as fast as he can.
func TestReplaceInARace(t *testing.T) {
	dir, victim := hostile(t, 0o777)
	path := filepath.Join(dir, "file")
	as(t, func() error { return nil }) // or the test is skipped
	stop, started, stopped := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		stopped <- lab.AsUser(t, lab.Attacker, func() error {
			close(started)
			for n := 0; ; n++ {
				select {
				case <-stop:
					return nil
				default:
				}
				at := path
				if n%2 == 0 {
					at += newSuffix
				}
				_ = os.Remove(at)
				_ = os.Symlink(victim, at)
			}
		})
	}()
	select {
	case <-started:
	case err := <-stopped:
		t.Fatal(err)
	}
	for range 300 {
		_ = Replace(path, 0o600, []byte("ours")) // may fail
		if f, err := Open(path, os.O_RDWR|os.O_CREATE, 0o600); err == nil {
			_, err = f.WriteString("ours")
			if err := errors.Join(err, f.Close()); err != nil {
				t.Error(err)
			}
		}
	}
	close(stop)
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if text, err := os.ReadFile(victim); err != nil || string(text) != "precious" {
		t.Errorf("the victim: %q, %v", text, err)
	}
}

func TestOpenOwnFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for range 2 {
		f, err := Open(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString("text"); errors.Join(err, f.Close()) != nil {
			t.Error(err)
		}
	}
	if _, err := Open(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); !errors.Is(err, fs.ErrExist) {
		t.Errorf("O_EXCL: %v", err)
	}
	if _, err := Open(path, os.O_RDWR|os.O_TRUNC, 0); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("O_TRUNC: %v", err)
	}
	if _, err := Open(path+".absent", os.O_RDWR, 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	path, link, pipe := filepath.Join(dir, "file"), filepath.Join(dir, "link"), filepath.Join(dir, "pipe")
	if err := errors.Join(os.WriteFile(path, []byte("12345"), 0o600), os.Symlink("file", link), unix.Mkfifo(pipe, 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path string
		most int64
		want error
	}{
		{path, 5, nil},
		{link, 5, nil},
		{path, 4, ErrTooLarge},
		{pipe, 5, ErrUnsafe},
		{dir, 5, ErrUnsafe},
		{"/dev/zero", 5, ErrUnsafe},
		{path + "x", 5, fs.ErrNotExist},
	} {
		text, err := Read(c.path, c.most)
		if !errors.Is(err, c.want) || c.want == nil && string(text) != "12345" || c.want != nil && text != nil {
			t.Errorf("%s: %q, %v, want %v", c.path, text, err, c.want)
		}
	}
	if f, err := OpenRead(link, unix.O_NOFOLLOW); !errors.Is(err, ErrUnsafe) {
		t.Errorf("%v, %v", f, err)
	}
}

func TestForeign(t *testing.T) {
	dir, victim := hostile(t, 0o777)
	path := filepath.Join(dir, "file")
	as(t, func() error { return os.WriteFile(path, nil, 0o644) })
	for _, c := range []struct{ path, want string }{{victim, ""}, {path, "it belongs to user 12002"}} {
		f, err := OpenRead(c.path, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := Foreign(f); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.path, err, c.want)
		}
		if err := errors.Join(os.Chmod(c.path, 0o666)); err != nil {
			t.Fatal(err)
		}
		if err := Foreign(f); err == nil {
			t.Errorf("%s: every user may write it", c.path)
		}
		_ = f.Close()
	}
}

// TestLockHeldForEver: an attacker who may read a file holds its lock.
func TestLockHeldForEver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	open := func() *os.File {
		f, err := Open(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		return f
	}
	first := open()
	if err := Lock(t.Context(), first, time.Second); err != nil {
		t.Fatal(err)
	}
	if err := Lock(t.Context(), open(), 30*time.Millisecond); !errors.Is(err, ErrLocked) {
		t.Errorf("%v, want %v", err, ErrLocked)
	}
	_ = first.Close()
	if err := Lock(t.Context(), open(), 20*time.Second); err != nil {
		t.Error(err)
	}
}

func TestCheckDir(t *testing.T) {
	sticky, _ := hostile(t, 0o777|os.ModeSticky)
	open, _ := hostile(t, 0o777)
	own, _ := hostile(t, 0o755)
	below, link := filepath.Join(open, "below"), filepath.Join(own, "link")
	theirs := filepath.Join(sticky, "theirs")
	if err := errors.Join(os.Mkdir(below, 0o755), os.Symlink(below, link)); err != nil {
		t.Fatal(err)
	}
	as(t, func() error { return os.Mkdir(theirs, 0o755) })
	for path, want := range map[string]string{
		own: "", sticky: "", filepath.Join(own, "absent", "more"): "",
		open: open + ": every user may write it", below: open + ": every user may write it", link: open + ": every user may write it",
		theirs: theirs + ": it belongs to user 12002",
	} {
		if err := CheckDir(path); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}

// TestSetSocketInARace: while sockets are made, an attacker puts links in their place; chmod(2) would follow one to the victim.
func TestSetSocketInARace(t *testing.T) {
	dir, victim := hostile(t, 0o777)
	path := filepath.Join(dir, "socket")
	as(t, func() error { return nil }) // or the test is skipped
	stop, started, stopped := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		stopped <- lab.AsUser(t, lab.Attacker, func() error {
			close(started)
			for {
				select {
				case <-stop:
					return nil
				default:
				}
				_ = os.Remove(path)
				_ = os.Symlink(victim, path)
			}
		})
	}()
	select {
	case <-started:
	case err := <-stopped:
		t.Fatal(err)
	}
	for range 2000 {
		_ = os.Remove(path)
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		if err != nil {
			continue
		}
		l.SetUnlinkOnClose(false)
		_ = SetSocket(path, 0o666, 7) // may be refused
		_ = l.Close()
	}
	close(stop)
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(victim); err != nil || info.Mode() != 0o600 || info.Sys().(*syscall.Stat_t).Gid != 0 {
		t.Errorf("the victim: %v, %v", info, err)
	}
}

func TestSetSocket(t *testing.T) {
	dir, victim := hostile(t, 0o755)
	path := filepath.Join(dir, "socket")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if err := SetSocket(path, 0o660, os.Getegid()); err != nil {
		t.Error(err)
	}
	if info, err := os.Lstat(path); err != nil || info.Mode() != 0o660|os.ModeSocket {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := SetSocket(victim, 0o666, -1); !errors.Is(err, ErrUnsafe) {
		t.Error(err)
	}
	made := filepath.Join(dir, "made")
	if err := MakeDir(made, 0o777); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(made); err != nil || info.Mode() != 0o777|os.ModeDir {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := MakeDir(made, 0o700); !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
}
