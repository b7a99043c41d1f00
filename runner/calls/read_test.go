package calls

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestReadNamesDamage: each damaged line is named by file and number, and the others are read.
func TestReadNamesDamage(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "calls.jsonl")
	old := filepath.Join(dir, "calls-2026-11-24T11-55-25.123.jsonl")
	const good = `{"time":"t","match":"exchange","apisix.route_id":"a"}`
	for name, text := range map[string]string{
		old:                                     good + "\n\n" + `{"time":"t"` + "\n" + good + "\n" + `{"time":"t","match":1}` + "\n",
		file:                                    "[]\n" + strings.Repeat("x", maxLine+1) + "\n" + good + "\n" + `{"match":"none"}` + "\n" + good,
		filepath.Join(dir, "calls-notes.jsonl"): "not ours\n",
		filepath.Join(dir, "calls-2026-11-24T11-55-25.123.jsonl.bak"): "not ours\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var lines int
	var damage []string
	r := NewReader(func(l *Line) error {
		lines++
		if string(l.Text) != good {
			t.Errorf("%q", l.Text)
		}
		return nil
	}, func(err error) {
		where, _, _ := strings.Cut(err.Error(), ": ")
		damage = append(damage, where)
		if !errors.Is(err, ErrDamaged) {
			t.Error(err)
		}
	})
	if err := r.Read(file); err != nil {
		t.Fatal(err)
	}
	if want := []string{old + ":3", old + ":5", file + ":1", file + ":2", file + ":4"}; lines != 4 || !slices.Equal(damage, want) {
		t.Errorf("%d lines, damage %v, want %v", lines, damage, want)
	}
}

func TestReadWithoutALog(t *testing.T) {
	r := NewReader(func(*Line) error { return nil }, func(error) {})
	if err := r.Read(filepath.Join(t.TempDir(), "calls.jsonl")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// TestFollowOverRotation: every line is seen once and in order, from before the first rotation to after the last, however
// often the log is rotated between two looks.
func TestFollowOverRotation(t *testing.T) {
	o := options(t)
	o.RotateBytes = 2000
	f := follow(t, o.File) // before the log is there
	l := open(t, o)
	var want []string
	for n := uint64(1); n <= 60; n++ {
		putAndWait(t, l, n)
		want = append(want, numberText(n))
		if n == 30 {
			waitFor(t, func() bool { return f.has("30") })
		}
	}
	waitFor(t, func() bool { return f.has("60") })
	got := f.end(t)
	if files, err := Files(o.File); err != nil || len(files) < 4 {
		t.Errorf("files %v, %v", files, err)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestFollowWaitsForTheRestOfALine, and goes on when its file is removed as too old.
func TestFollowWaitsForTheRestOfALine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "calls.jsonl")
	const good = `{"time":"t","match":"exchange"}` + "\n"
	lines := 0
	r := NewReader(func(*Line) error { lines++; return nil }, func(err error) { t.Error(err) })
	step := func(want int) {
		t.Helper()
		if err := r.step(file); err != nil || lines != want {
			t.Fatalf("%d lines, want %d; %v", lines, want, err)
		}
	}
	appendTo := func(text string) {
		f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err == nil {
			_, err = f.WriteString(text)
		}
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	step(0)
	appendTo(good + good[:9])
	step(1)
	appendTo(good[9:])
	step(2)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	step(2)
	appendTo(good)
	step(3)
	if err := os.Rename(file, file+".elsewhere"); err != nil {
		t.Fatal(err)
	}
	appendTo(good + good)
	step(5)
	step(5)
}

// TestFollowTruncated: a truncated file is noticed also when it has grown beyond what was read of it, and what the reader had not read
// yet is in a copy, or counts as missing.
func TestFollowTruncated(t *testing.T) {
	line := func(n int) string { return fmt.Sprintf(`{"time":"t%d","match":"exchange"}`+"\n", n) }
	for name, c := range map[string]struct {
		copied, copyName string // the copy's text; its name from the log's folder, "" for no copy
		after            string // what the file has after it was truncated
		want             []int  // the lines that are read
		damage           error
	}{
		"copied":                {line(1) + line(2) + line(3), "calls.jsonl.1", line(4), []int{1, 2, 3, 4}, nil},
		"nothing new":           {line(1), "calls.jsonl.1", line(4), []int{1, 4}, nil},
		"grown again":           {line(1) + line(2), "calls.jsonl-20261201", strings.Repeat(line(4), 3), []int{1, 2, 4, 4, 4}, nil},
		"still empty":           {line(1) + line(2), "calls.jsonl.1", "", []int{1, 2}, nil},
		"copied in a line":      {line(1) + line(2) + line(3)[:9], "calls.jsonl.1", line(4), []int{1, 2, 4}, ErrDamaged},
		"copied before the end": {line(1)[:20], "calls.jsonl.1", line(4), []int{1, 4}, nil},
		"no copy":               {"", "", line(4), []int{1, 4}, ErrTruncated},
		"a copy somewhere else": {line(1) + line(2), "../calls.jsonl.1", line(4), []int{1, 4}, ErrTruncated},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "deep", "calls.jsonl")
			var got []int
			var damage []error
			r := NewReader(func(l *Line) error {
				n, err := strconv.Atoi(l.Time[1:])
				got = append(got, n)
				return err
			}, func(err error) { damage = append(damage, err) })
			write := func(name, text string) {
				if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, []byte(text), 0o600)); err != nil {
					t.Fatal(err)
				}
			}
			step := func() {
				if err := r.step(file); err != nil {
					t.Fatal(err)
				}
			}
			write(file, line(1))
			step()
			if c.copyName != "" {
				write(filepath.Join(filepath.Dir(file), c.copyName), c.copied)
			}
			write(file+".2", line(7)+line(8)) // of an earlier rotation
			write(file, c.after)              // truncates it
			step()
			step()
			if !slices.Equal(got, c.want) {
				t.Errorf("read %v, want %v", got, c.want)
			}
			if err := errors.Join(damage...); !errors.Is(err, c.damage) || len(damage) > 1 {
				t.Errorf("damage %v, want %v", err, c.damage)
			}
		})
	}
}

// TestReadStopsWithItsTaker, as when the terminal is gone.
func TestReadStopsWithItsTaker(t *testing.T) {
	o := options(t)
	written(t, o, full(), full())
	gone := errors.New("gone")
	lines := 0
	r := NewReader(func(*Line) error { lines++; return gone }, func(error) {})
	if err := r.Read(o.File); !errors.Is(err, gone) || lines != 1 {
		t.Errorf("%v after %d lines", err, lines)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := NewReader(func(*Line) error { return gone }, func(error) {}).Follow(ctx, o.File); !errors.Is(err, gone) {
		t.Error(err)
	}
}
