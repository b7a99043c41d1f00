package server

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"fivetuple/examples/lab"
)

// hostileFolder returns a folder of a mode that every user may write, and a file of root's that an attacker is after.
func hostileFolder(t *testing.T, mode os.FileMode) (folder, victim string) {
	t.Helper()
	base := socketDir(t)
	folder, victim = filepath.Join(base, "s"), filepath.Join(base, "victim")
	if err := errors.Join(os.Chmod(base, 0o755), os.Mkdir(folder, 0o700), os.Chmod(folder, mode),
		os.WriteFile(victim, []byte("12\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	return folder, victim
}

// as acts as an attacker.
func as(t *testing.T, run func() error) {
	t.Helper()
	if err := lab.AsUser(t, lab.Attacker, run); err != nil {
		t.Fatal(err)
	}
}

// startAt reserves numbers and makes the socket, as a runner that starts does.
func startAt(t *testing.T, path string) (warned error) {
	t.Helper()
	numbers, err := ReserveNumbers(NumbersFile(path), func(err error) { warned = err })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := numbers.Take(); err != nil {
		t.Error(err)
	}
	socket, err := Listen(path, Access{0o600, -1})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(socket.Remove(), socket.Close()); err != nil {
		t.Error(err)
	}
	return warned
}

// TestFilesOfAnAttacker in the place of the file of token numbers: a runner starts, says what is wrong, and changes nothing but its own.
func TestFilesOfAnAttacker(t *testing.T) {
	for name, c := range map[string]struct {
		plant func(path, victim string) error
		want  string
	}{
		"symbolic link": {func(path, victim string) error { return os.Symlink(victim, path) }, "it is a symbolic link"},
		"named pipe":    {func(path, _ string) error { return unix.Mkfifo(path, 0o666) }, "it is a named pipe"},
		"file":          {func(path, _ string) error { return os.WriteFile(path, []byte("7\n"), 0o666) }, "it belongs to user 12002"},
	} {
		t.Run(name, func(t *testing.T) {
			folder, victim := hostileFolder(t, 0o777|os.ModeSticky)
			path := filepath.Join(folder, "runner.sock")
			as(t, func() error { return c.plant(NumbersFile(path), victim) })
			if err := startAt(t, path); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %s", err, c.want)
			}
			if text, err := os.ReadFile(victim); err != nil || string(text) != "12\n" {
				t.Errorf("the victim has %q, %v", text, err)
			}
		})
	}
}

// TestHardLinkAsTokens: root makes the link, because fs.protected_hardlinks may keep an attacker from it.
func TestHardLinkAsTokens(t *testing.T) {
	folder, victim := hostileFolder(t, 0o777)
	path := filepath.Join(folder, "runner.sock")
	if err := os.Link(victim, NumbersFile(path)); err != nil {
		t.Fatal(err)
	}
	if err := startAt(t, path); err == nil || !strings.Contains(err.Error(), "it is a hard link") {
		t.Error(err)
	}
	if text, err := os.ReadFile(victim); err != nil || string(text) != "12\n" {
		t.Errorf("the victim has %q, %v", text, err)
	}
}

// TestLockOfTokensHeld by whoever may read the file: a runner starts without it.
func TestLockOfTokensHeld(t *testing.T) {
	folder, _ := hostileFolder(t, 0o755)
	path := filepath.Join(folder, "runner.sock")
	if err := errors.Join(os.WriteFile(NumbersFile(path), []byte("12\n"), 0o600), os.Chmod(NumbersFile(path), 0o644)); err != nil {
		t.Fatal(err)
	}
	as(t, func() error {
		held, err := os.Open(NumbersFile(path))
		if err != nil {
			return err
		}
		t.Cleanup(func() { _ = held.Close() })
		return unix.Flock(int(held.Fd()), unix.LOCK_EX)
	})
	if err := startAt(t, path); err == nil || !strings.Contains(err.Error(), "locked") {
		t.Error(err)
	}
}

// squat listens at a path as an attacker, and refuses nobody.
func squat(t *testing.T, path string) {
	t.Helper()
	as(t, func() error {
		l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
		if err != nil {
			return err
		}
		l.SetUnlinkOnClose(false)
		t.Cleanup(func() { _ = l.Close() })
		return os.Chmod(path, 0o777)
	})
}

// serveAt serves at a path, without a control socket.
func serveAt(t *testing.T, path string) (*Server, *Socket) {
	t.Helper()
	s, err := New(Options{Plugins: testPlugins(), OnConfigError: ConfigErrorMark, Numbers: counter(), Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	socket, err := Listen(path, Access{0o600, -1})
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(socket.UnixListener)
	t.Cleanup(func() { s.Close(t.Context()) })
	return s, socket
}

// TestControlSocketSquatted by another user, as a socket, a file, a pipe or a link: it is removed, and another process can take over.
func TestControlSocketSquatted(t *testing.T) {
	for name, plant := range map[string]func(path, victim string){
		"socket": func(path, _ string) { squat(t, path) },
		"file":   func(path, _ string) { as(t, func() error { return os.WriteFile(path, nil, 0o666) }) },
		"pipe":   func(path, _ string) { as(t, func() error { return unix.Mkfifo(path, 0o666) }) },
		"link":   func(path, victim string) { as(t, func() error { return os.Symlink(victim, path) }) },
	} {
		t.Run(name, func(t *testing.T) {
			folder, victim := hostileFolder(t, 0o777)
			path := filepath.Join(folder, "runner.sock")
			plant(path+controlSuffix, victim)
			s, socket := serveAt(t, path)
			control, err := OpenControl(s, socket, nobody(), zerolog.Nop())
			if err != nil {
				t.Fatal(err)
			}
			next, err := New(Options{Plugins: testPlugins(), OnConfigError: ConfigErrorMark, Numbers: counter(), Log: zerolog.Nop()})
			if err != nil {
				t.Fatal(err)
			}
			taken, before, err := TakeOver(t.Context(), next, path, Access{0o600, -1}, zerolog.Nop())
			if err != nil {
				t.Fatal(err)
			}
			<-control.Taken()
			<-before.Gone
			if _, err := os.Stat(victim); err != nil {
				t.Error(err)
			}
			next.Close(t.Context())
			_ = taken.Close()
		})
	}
}

// TestControlSocketCannotBeRemoved, because the folder is another user's and sticky, and the runner is not root: the error says who has the
// name, and what to do.
func TestControlSocketCannotBeRemoved(t *testing.T) {
	folder, _ := hostileFolder(t, 0o777|os.ModeSticky)
	path := filepath.Join(folder, "runner.sock"+controlSuffix)
	squat(t, path)
	const runner = 12001
	err := lab.AsUser(t, runner, func() error { return clearControl(path) })
	if err == nil || !strings.Contains(err.Error(), "user 12002 has taken the name of the control socket") || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
}

// TestControlSocketOfAnAttacker: a runner that is to take over finds who is at the other end before it sends or believes anything.
func TestControlSocketOfAnAttacker(t *testing.T) {
	folder, _ := hostileFolder(t, 0o777)
	path := filepath.Join(folder, "runner.sock")
	squat(t, path+controlSuffix)
	s, err := New(Options{Plugins: testPlugins(), OnConfigError: ConfigErrorMark, Numbers: counter(), Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(t.Context())
	if _, _, err := TakeOver(t.Context(), s, path, Access{0o600, -1}, zerolog.Nop()); !errors.Is(err, errPeer) || !strings.Contains(err.Error(), "of user 12002") {
		t.Error(err)
	}
}

// TestControlSocketAskedByAnAttacker, who has got around its mode: nothing is given.
func TestControlSocketAskedByAnAttacker(t *testing.T) {
	folder, _ := hostileFolder(t, 0o777)
	path := filepath.Join(folder, "runner.sock")
	s, socket := serveAt(t, path)
	control, err := OpenControl(s, socket, nobody(), zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = control.Close() }()
	as(t, func() error {
		if _, err := net.Dial("unixpacket", path+controlSuffix); !errors.Is(err, os.ErrPermission) {
			return errors.Join(errors.New("connected by its mode"), err)
		}
		return nil
	})
	if err := os.Chmod(path+controlSuffix, 0o777); err != nil {
		t.Fatal(err)
	}
	as(t, func() error {
		conn, err := net.Dial("unixpacket", path+controlSuffix)
		if err != nil {
			return err
		}
		defer conn.Close()
		answer := make([]byte, 1024)
		n, err := conn.Read(answer)
		if err != nil || packet(answer[0]) != packetRefusal || !strings.Contains(string(answer[:n]), "of user 12002") {
			return errors.Join(errors.New("answer: "+string(answer[:n])), err)
		}
		return nil
	})
}
