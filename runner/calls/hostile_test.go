package calls

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"fivetuple/conf/safefile"
	"fivetuple/examples/lab"
)

// hostileFolder returns a log's options in a folder that every user may write, and a file of root's that an attacker is after.
func hostileFolder(t *testing.T) (o Options, victim string) {
	t.Helper()
	base := t.TempDir()
	folder := filepath.Join(base, "log")
	victim = filepath.Join(base, "victim")
	if err := errors.Join(os.Chmod(filepath.Dir(base), 0o755), os.Chmod(base, 0o755), os.Mkdir(folder, 0o700), os.Chmod(folder, 0o777),
		os.WriteFile(victim, []byte("precious"), 0o600)); err != nil {
		t.Fatal(err)
	}
	o = options(t)
	o.File = filepath.Join(folder, "calls.jsonl")
	return o, victim
}

func isUnharmed(t *testing.T, victim string) {
	t.Helper()
	if text, err := os.ReadFile(victim); err != nil || string(text) != "precious" {
		t.Errorf("the victim has %q, %v", text, err)
	}
}

// as acts as an attacker.
func as(t *testing.T, run func() error) {
	t.Helper()
	if err := lab.AsUser(t, lab.Attacker, run); err != nil {
		t.Fatal(err)
	}
}

// TestFilesOfAnAttacker: what an attacker has put in the log's place is refused at once, and says what to do.
func TestFilesOfAnAttacker(t *testing.T) {
	for name, c := range map[string]struct {
		plant func(path, victim string) error
		want  string
	}{
		"symbolic link": {func(path, victim string) error { return os.Symlink(victim, path) }, "it is a symbolic link"},
		"named pipe":    {func(path, _ string) error { return unix.Mkfifo(path, 0o666) }, "it is a named pipe"},
		"file":          {func(path, _ string) error { return os.WriteFile(path, nil, 0o666) }, "it belongs to user 12002"},
	} {
		t.Run(name, func(t *testing.T) {
			o, victim := hostileFolder(t)
			as(t, func() error { return c.plant(o.File, victim) })
			l, err := Open(o)
			if err == nil {
				finish(t, l)
			}
			if !errors.Is(err, safefile.ErrUnsafe) || !strings.Contains(err.Error(), o.File) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %s", err, c.want)
			}
			isUnharmed(t, victim)
		})
	}
}

// TestHardLinkAsLog: root makes the link, because fs.protected_hardlinks may keep an attacker from it.
func TestHardLinkAsLog(t *testing.T) {
	o, victim := hostileFolder(t)
	if err := os.Link(victim, o.File); err != nil {
		t.Fatal(err)
	}
	if l, err := Open(o); err == nil || !strings.Contains(err.Error(), "it is a hard link") {
		t.Errorf("%v, %v", l, err)
	}
	isUnharmed(t, victim)
}

// TestLogInAHostileDirectory: while a log is written and rotated, an attacker renames it, and puts links, pipes and files of his own in
// the place of it and of old files. Nothing is written behind a link; no line is torn; once he stops, lines are written again.
func TestLogInAHostileDirectory(t *testing.T) {
	o, victim := hostileFolder(t)
	o.RotateBytes, o.RotateKeep = 3000, 3
	l := open(t, o)
	stop, attacked := make(chan struct{}), make(chan error, 1)
	as(t, func() error { return nil }) // or the test is skipped
	go func() { attacked <- lab.AsUser(t, lab.Attacker, func() error { return attack(o.File, victim, stop) }) }()
	for n := uint64(1); n <= 400; n++ {
		putAndWait(t, l, n)
	}
	close(stop)
	if err := <-attacked; err != nil {
		t.Fatal(err)
	}
	under := l.Counts()
	t.Logf("under attack: %+v", under)
	as(t, func() error { return os.RemoveAll(o.File) })
	for n := uint64(1001); n <= 1020; n++ {
		putAndWait(t, l, n)
	}
	if c := l.Counts(); c.Written-under.Written != 20 || c.Failed != under.Failed {
		t.Errorf("after the attack: %+v, before %+v", c, under)
	}
	finish(t, l)
	isUnharmed(t, victim)
	got := map[string]bool{}
	reader := NewReader(func(l *Line) error { got[requestNumber(string(l.Text))] = true; return nil }, func(err error) { t.Error(err) })
	if err := reader.Read(o.File); err != nil {
		t.Error(err)
	}
	if !got["1020"] {
		t.Errorf("the last call is not in the log")
	}
}

// attack goes on until it is stopped.
func attack(path, victim string, stop <-chan struct{}) error {
	for n := 0; ; n++ {
		select {
		case <-stop:
			return nil
		default:
		}
		switch n % 6 {
		case 0:
			_ = os.Rename(path, path+".taken")
			_ = os.Symlink(victim, path)
		case 1:
			_ = os.Remove(path)
			_ = unix.Mkfifo(path, 0o666)
		case 2:
			_ = os.Remove(path)
			_ = os.WriteFile(path, []byte("{}\n"), 0o600)
		case 3:
			_ = os.Remove(path)
			_ = os.Mkdir(path, 0o777)
		case 4:
			_ = os.Remove(path)
			_ = os.Symlink(path, path)
		case 5: // names of old files of the next moments
			_ = os.Remove(path)
			at := time.Now().UTC().Add(time.Duration(n%100) * time.Millisecond)
			_ = os.Symlink(victim, strings.TrimSuffix(path, ".jsonl")+"-"+at.Format(rotatedTime)+".jsonl")
		}
		time.Sleep(100 * time.Microsecond) // the log has a turn
	}
}

// TestOldFilesOfAnAttacker: files whose names are of the future keep none of the log's own from staying, and are not removed.
func TestOldFilesOfAnAttacker(t *testing.T) {
	o, victim := hostileFolder(t)
	o.RotateBytes, o.RotateKeep = 1, 2
	stem := strings.TrimSuffix(o.File, ".jsonl")
	as(t, func() error {
		var errs []error
		for n := range 5 {
			errs = append(errs, os.WriteFile(fmt.Sprintf("%s-2999-01-01T00-00-0%d.000.jsonl", stem, n), nil, 0o666),
				os.Symlink(victim, fmt.Sprintf("%s-1999-01-01T00-00-0%d.000.jsonl", stem, n)),
				unix.Mkfifo(fmt.Sprintf("%s-1998-01-01T00-00-0%d.000.jsonl", stem, n), 0o666))
		}
		return errors.Join(errs...)
	})
	l := open(t, o)
	for n := uint64(1); n <= 6; n++ {
		putAndWait(t, l, n)
	}
	finish(t, l)
	if got := requestsIn(t, o.File); !slices.Equal(got, []string{"4", "5", "6"}) {
		t.Errorf("left are %v", got)
	}
	entries, err := os.ReadDir(filepath.Dir(o.File))
	if err != nil || len(entries) != 15+3 {
		t.Errorf("%d entries, %v", len(entries), err)
	}
	isUnharmed(t, victim)
}

// TestFolderIsRemoved under a log: it is made again.
func TestFolderIsRemoved(t *testing.T) {
	o := options(t)
	o.RotateBytes = 2000
	l := open(t, o)
	putAndWait(t, l, 1)
	if err := os.RemoveAll(filepath.Dir(o.File)); err != nil {
		t.Fatal(err)
	}
	for n := uint64(2); n <= 10; n++ {
		putAndWait(t, l, n)
	}
	finish(t, l)
	if got := requestsIn(t, o.File); len(got) != 9 || l.Counts().Failed != 0 {
		t.Errorf("%v, %+v", got, l.Counts())
	}
}

// TestFullFileSystem: lines that do not fit are counted, none is torn in a way that damages the next, and they are written again when
// there is room.
func TestFullFileSystem(t *testing.T) {
	folder := t.TempDir()
	if err := unix.Mount("fivetuple-test", folder, "tmpfs", 0, "size=64k,nr_inodes=16"); err != nil {
		skip(t, "no file system can be mounted: "+err.Error())
	}
	t.Cleanup(func() { _ = unix.Unmount(folder, unix.MNT_DETACH) })
	o := options(t)
	o.File, o.RotateBytes, o.RotateKeep = filepath.Join(folder, "calls.jsonl"), 16_000, 100
	l := open(t, o)
	for n := uint64(1); n <= 100; n++ {
		putAndWait(t, l, n)
	}
	full := l.Counts()
	if full.Failed == 0 || full.Written == 0 || full.Failed+full.Written != 100 {
		t.Errorf("%+v", full)
	}
	files, err := Files(o.File)
	if err != nil || len(files) < 3 {
		t.Fatalf("%v, %v", files, err)
	}
	if err := errors.Join(os.Remove(files[0]), os.Remove(files[1])); err != nil {
		t.Fatal(err)
	}
	putAndWait(t, l, 101)
	finish(t, l)
	if c := l.Counts(); c.Failed != full.Failed {
		t.Errorf("%+v, before %+v", c, full)
	}
	var got []string
	damages := 0
	reader := NewReader(func(l *Line) error { got = append(got, requestNumber(string(l.Text))); return nil }, func(error) { damages++ })
	if err := reader.Read(o.File); err != nil || damages > 1 || got[len(got)-1] != "101" {
		t.Errorf("%v, %d damaged lines, %v", err, damages, got)
	}
}

// TestUnwritableFolder: where the folder allows no new file, the lines that would need one are an error that names it, and the file does
// not grow beyond its size.
func TestUnwritableFolder(t *testing.T) {
	o, _ := hostileFolder(t)
	folder := filepath.Dir(o.File)
	as(t, func() error {
		o.RotateBytes, o.RotateKeep = 100, 3
		f, err := openFile(&o)
		if err != nil {
			return err
		}
		defer f.close()
		line := []byte(strings.Repeat("x", 79) + "\n")
		if _, err := f.Write(line); err != nil {
			return err
		}
		if err := lab.AsUserOfTheProcess(func() error { return os.Chmod(folder, 0o555) }); err != nil {
			return err
		}
		if _, err := f.Write(line); !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), "rotate "+o.File) {
			return fmt.Errorf("written in a folder that is not writable: %w", err)
		}
		if err := lab.AsUserOfTheProcess(func() error { return os.Chmod(folder, 0o777) }); err != nil {
			return err
		}
		_, err = f.Write(line)
		return err
	})
	info, err := os.Stat(o.File)
	files, filesErr := Files(o.File)
	if err != nil || info.Size() != 80 || filesErr != nil || len(files) != 2 {
		t.Errorf("%v, %v, %v, %v", info.Size(), err, files, filesErr)
	}
}

// TestModeOfNewFiles: a file that is begun has the mode of the one before, which a log shipper's group may read.
func TestModeOfNewFiles(t *testing.T) {
	o := options(t)
	o.RotateBytes = 1
	l := open(t, o)
	putAndWait(t, l, 1)
	if err := os.Chmod(o.File, 0o640); err != nil {
		t.Fatal(err)
	}
	putAndWait(t, l, 2)
	finish(t, l)
	if info, err := os.Stat(o.File); err != nil || info.Mode() != 0o640 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}
