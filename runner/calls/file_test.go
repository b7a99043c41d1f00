package calls

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"fivetuple/correlator"
)

// requestsIn returns the numbers of the calls in a log's files, in their order; each line has to be whole.
func requestsIn(t *testing.T, file string) []string {
	t.Helper()
	var all []string
	r := NewReader(func(l *Line) error {
		all = append(all, requestNumber(string(l.Text)))
		return nil
	}, func(err error) { t.Error(err) })
	if err := r.Read(file); err != nil {
		t.Fatal(err)
	}
	return all
}

// putAndWait writes a call, and waits until it is in the file.
func putAndWait(t *testing.T, l *Log, number uint64) {
	t.Helper()
	r := full()
	r.Requests = number
	before := l.Counts()
	l.Put(&r)
	waitFor(t, func() bool {
		c := l.Counts()
		return c.Written+c.Failed+c.Dropped > before.Written+before.Failed+before.Dropped
	})
}

func waitFor(t *testing.T, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatal("waited too long")
		}
		time.Sleep(time.Millisecond)
	}
}

// TestRotation: every call is in one of the files, in order; none grows beyond the size.
func TestRotation(t *testing.T) {
	o := options(t)
	o.RotateBytes = 4000
	l := open(t, o)
	var want []string
	for n := uint64(1); ; n++ {
		putAndWait(t, l, n)
		want = append(want, numberText(n))
		if files, _ := Files(o.File); len(files) >= 5 {
			break
		}
	}
	finish(t, l)
	if got := requestsIn(t, o.File); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	files, err := Files(o.File)
	if err != nil || files[len(files)-1] != o.File {
		t.Fatalf("%v, %v", files, err)
	}
	for _, name := range files {
		info, err := os.Stat(name)
		if err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

func numberText(n uint64) string { return strconv.FormatUint(n, 10) }

// TestOldFilesGo: no more than those to keep stay.
func TestOldFilesGo(t *testing.T) {
	o := options(t)
	o.RotateBytes, o.RotateKeep = 1, 2
	l := open(t, o)
	for n := uint64(1); n <= 8; n++ {
		putAndWait(t, l, n)
	}
	finish(t, l)
	if got := requestsIn(t, o.File); !slices.Equal(got, []string{"6", "7", "8"}) {
		t.Errorf("left are %v", got)
	}
}

// TestTwoRunnersWriteOneLog, as they do while one takes the other's place: no line is lost, torn, or written over.
func TestTwoRunnersWriteOneLog(t *testing.T) {
	o := options(t)
	o.RotateBytes = 6000
	before, after := open(t, o), open(t, o)
	var want []string
	for n := uint64(1); n <= 60; n += 2 {
		putAndWait(t, before, n)
		putAndWait(t, after, n+1)
		want = append(want, numberText(n), numberText(n+1))
	}
	finish(t, before)
	finish(t, after)
	got := requestsIn(t, o.File)
	files, err := Files(o.File)
	if err != nil || len(files) < 3 {
		t.Fatalf("files %v, %v", files, err)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestDeletedFileIsMadeAgain(t *testing.T) {
	o := options(t)
	l := open(t, o)
	putAndWait(t, l, 1)
	if err := os.Remove(o.File); err != nil {
		t.Fatal(err)
	}
	putAndWait(t, l, 2)
	finish(t, l)
	if got := requestsIn(t, o.File); !slices.Equal(got, []string{"2"}) {
		t.Errorf("got %v", got)
	}
}

// TestFailureIsCountedAndSaidOnce, also for root, who may write anywhere: a folder takes the file's place.
func TestFailureIsCountedAndSaidOnce(t *testing.T) {
	var said bytes.Buffer
	o := options(t)
	o.Log = zerolog.New(zerolog.SyncWriter(&said))
	l := open(t, o)
	putAndWait(t, l, 1)
	if err := errors.Join(os.Remove(o.File), os.Mkdir(o.File, 0o700)); err != nil {
		t.Fatal(err)
	}
	for n := uint64(2); n <= 4; n++ {
		putAndWait(t, l, n)
	}
	if err := os.Remove(o.File); err != nil {
		t.Fatal(err)
	}
	putAndWait(t, l, 5)
	finish(t, l)
	if c := l.Counts(); c.Written != 2 || c.Failed != 3 {
		t.Errorf("%+v", c)
	}
	if text := said.String(); strings.Count(text, "cannot be written") != 1 || strings.Count(text, "can be written again") != 1 {
		t.Errorf("said:\n%s", text)
	}
	if got := requestsIn(t, o.File); !slices.Equal(got, []string{"5"}) {
		t.Errorf("got %v", got)
	}
}

// TestTornLineStaysAlone: after a write that ended in the middle of a line, the next line is whole, also if another process writes it.
func TestTornLineStaysAlone(t *testing.T) {
	for name, next := range map[string]func(*Log) *Log{
		"the same log": func(l *Log) *Log { l.torn = true; return l },
		"the next one": func(l *Log) *Log { next := open(t, l.options); finish(t, next); return next },
	} {
		t.Run(name, func(t *testing.T) {
			o := options(t)
			l := open(t, o)
			putAndWait(t, l, 1)
			finish(t, l) // the goroutines have ended: the rest is done here
			tear(t, o.File)
			r := full()
			l = next(l)
			(*writer)(l).Take(&r)
			(*writer)(l).Idle()
			if c := l.Counts(); c.Failed != 0 || l.torn {
				t.Errorf("%+v, torn %v", c, l.torn)
			}
			var damage []error
			lines := 0
			reader := NewReader(func(*Line) error { lines++; return nil }, func(err error) { damage = append(damage, err) })
			if err := reader.Read(o.File); err != nil || lines != 2 || len(damage) != 1 || !strings.HasPrefix(damage[0].Error(), o.File+":2: ") {
				t.Errorf("%d lines, %v, %v", lines, damage, err)
			}
		})
	}
}

// tear ends a file as a write does that is cut short.
func tear(t *testing.T, name string) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString(`{"time":"2026`)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestOpenFails(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, filepath.Join(file, "calls.jsonl"), "/proc/fivetuple/calls.jsonl", "/dev/null"} {
		o := options(t)
		o.File = path
		if l, err := Open(o); err == nil {
			finish(t, l)
			t.Errorf("%s: opened", path)
		}
	}
}

// TestWallClock: the same moment is written alike until somebody sets the clock.
func TestWallClock(t *testing.T) {
	now, mono := start().Add(time.Hour), uint64(time.Hour)
	w := wall{monotonic: func() uint64 { return mono }, now: func() time.Time { return now }}
	for _, c := range []struct {
		off  time.Duration // the wall clock against the monotonic one
		want string
	}{
		{0, "2026-11-24T12:00:05.000000Z"},
		{900 * time.Microsecond, "2026-11-24T12:00:05.000000Z"},
		{-900 * time.Microsecond, "2026-11-24T12:00:05.000000Z"},
		{2 * time.Second, "2026-11-24T12:00:07.000000Z"},
		{2*time.Second + 900*time.Microsecond, "2026-11-24T12:00:07.000000Z"},
		{-time.Hour, "2026-11-24T11:00:05.000000Z"},
	} {
		mono += uint64(time.Minute)
		now = start().Add(time.Duration(mono) + c.off)
		w.compare()
		if got := w.text(5e9); got != c.want {
			t.Errorf("off by %v: %s, want %s", c.off, got, c.want)
		}
	}
}

// TestLargeBatches: more than one batch is written whole.
func TestLargeBatches(t *testing.T) {
	o := options(t)
	o.Queue = 2000
	records := make([]correlator.CallRecord, 500)
	for i := range records {
		records[i] = full()
		records[i].Requests = uint64(i + 1)
	}
	if lines := written(t, o, records...); len(lines) != 500 || len(requestsIn(t, o.File)) != 500 {
		t.Errorf("%d lines", len(lines))
	}
}
