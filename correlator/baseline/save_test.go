package baseline

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"fivetuple/correlator/sketch"
)

// learned returns a world that has learned of three keys and more, of which one shares.
func learned(tb testing.TB) *world {
	tb.Helper()
	o := testOptions()
	o.Keys = 3
	w := newWorld(tb, o)
	w.windows(4, func() {
		w.crowd(30)
		for _, k := range []Key{{"orders", "POST"}, {"", "GET"}, {"beyond", "GET"}} {
			for source := range 25 {
				w.b.Learn(w.now, k, &Observation{Source: address(source), Values: typical(float64(len(k.Route)+1) * w.honest())})
			}
		}
	})
	return w
}

func savedText(tb testing.TB, b *Baselines) []byte {
	tb.Helper()
	var text bytes.Buffer
	if err := b.Save(&text); err != nil {
		tb.Fatal(err)
	}
	return text.Bytes()
}

func TestSaveAndLoad(t *testing.T) {
	w := learned(t)
	if !w.b.Changed() {
		t.Error("nothing has changed")
	}
	text := savedText(t, w.b)
	if w.b.Changed() || w.b.Counters().Saves != 1 {
		t.Errorf("changed: %v, %+v", w.b.Changed(), w.b.Counters())
	}
	back := newWorld(t, w.b.o)
	back.b.SetWall(boot + 30*time.Minute) // another boot
	if err := back.b.Load(bytes.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	for _, k := range []Key{testKey(), {"orders", "POST"}, {"", "GET"}, {"beyond", "GET"}, {"unknown", "GET"}} {
		if d := cmp.Diff(w.b.Usual(k), back.b.Usual(k)); d != "" || !back.b.Usual(k).Ready {
			t.Errorf("%v (-saved +loaded):\n%s", k, d)
		}
	}
	if back.b.Changed() {
		t.Error("what was just loaded has to be saved")
	}
	if d := cmp.Diff(strings.Split(string(text), "\n"), strings.Split(string(savedText(t, back.b)), "\n")); d != "" {
		t.Errorf("saved again (-before +after):\n%s", d)
	}
	back.windows(2, func() { back.crowd(30) })
	back.wantNear("the median, learned on", back.response().P50, honestP50, 0.1)
}

// TestCloseKeepsTheOpenWindows: what has enough calls is in the file.
func TestCloseKeepsTheOpenWindows(t *testing.T) {
	w := newWorld(t, testOptions())
	for range 30 {
		w.learn(1, 1, false)
	}
	w.b.Learn(w.now, Key{"rare", "GET"}, &Observation{})
	w.b.Close(w.now + 1)
	text := string(savedText(t, w.b))
	if !strings.Contains(text, `"orders"`) || strings.Contains(text, `"rare"`) {
		t.Errorf("saved:\n%s", text)
	}
}

// TestFewerAreAllowedNow: of keys those stay that were called last, of windows the latest.
func TestFewerAreAllowedNow(t *testing.T) {
	w := learned(t)
	w.now += uint64(time.Second)
	w.learn(1, 1, false)
	text := savedText(t, w.b)
	o := w.b.o
	o.Keys, o.Windows, o.ShiftWindows, o.MinCalls = 1, 2, 1, 20
	back := New(o)
	if err := back.Load(bytes.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	m := back.published.Load()
	if len(m.keys) != 1 || !m.full || m.keys[testKey()] == nil || len(m.keys[testKey()].closed) != 2 {
		t.Errorf("got %+v", m)
	}
}

// TestDamagedFiles: nothing is taken of a file in which anything has changed, or is missing.
func TestDamagedFiles(t *testing.T) {
	text := savedText(t, learned(t).b)
	refused := func(what string, text []byte, want error) {
		t.Helper()
		b := New(testOptions())
		if err := b.Load(bytes.NewReader(text)); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
		if b.Counters().Keys != 0 || b.Changed() {
			t.Errorf("%s: parts were taken", what)
		}
	}
	for i := 0; i < len(text); i += 311 {
		changed := slices.Clone(text)
		changed[i] ^= 1
		refused("a changed byte", changed, ErrDamaged)
		refused("cut", text[:i], ErrDamaged)
	}
	lines := bytes.SplitAfter(text, []byte("\n"))
	refused("a line is missing", slices.Concat(lines[0], bytes.Join(lines[2:], nil)), ErrDamaged)
	refused("a line twice", slices.Concat(lines[0], lines[1], bytes.Join(lines[1:], nil)), ErrDamaged)
	refused("two files", slices.Concat(text, text), ErrDamaged)
	refused("a long line", slices.Concat(lines[0], bytes.Repeat([]byte("x"), maxLine+1)), ErrDamaged)
	refused("something else", []byte("hello\n"), ErrDamaged)
	refused("empty", nil, ErrDamaged)
	refused("version 0", bytes.Replace(text, []byte(`"version":1`), []byte(`"version":0`), 1), ErrDamaged)
	refused("version 2", bytes.Replace(text, []byte(`"version":1`), []byte(`"version":2`), 1), ErrNewer)
	refused("version 2, all else unknown", []byte(`{"format":"fivetuple-baseline","version":2,"x":1}`+"\nbinary\n"), ErrNewer)
}

var update = flag.Bool("update", false, "write the golden file of the current version")

// TestVersion1IsRead: a file of that version, from the program that wrote it first.
func TestVersion1IsRead(t *testing.T) {
	const golden = "testdata/version1"
	if *update && Version == 1 {
		w := learned(t)
		if err := os.WriteFile(golden, savedText(t, w.b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	o := testOptions()
	o.Keys = 3
	w := newWorld(t, o)
	if err := w.b.Load(bytes.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	u := w.b.Usual(testKey())
	if !u.Ready || u.Calls < 1000 || len(w.b.entries) != 3 {
		t.Errorf("got %+v, %d keys", u, len(w.b.entries))
	}
	w.wantNear("the median", w.response().P50, honestP50, 0.1)
	w.wantNear("the 99th percentile", w.response().P99, honestP99, 0.2)
	w.wantNear("the rate", u.Rate.P50, 30, 0.02)
	w.wantNear("the shared baseline's median", w.b.Usual(Key{"beyond", "GET"}).Quantities[Size].P50, 7*20_000, 0.1)
}

// FuzzLoad: whatever a file says, loading ends, and takes all of it or nothing; what was taken can be saved and learned on.
func FuzzLoad(f *testing.F) {
	f.Add([]byte{}, false)
	if text, err := os.ReadFile("testdata/version1"); err == nil {
		f.Add(text, true)
		lines := bytes.SplitAfter(text, []byte("\n"))
		f.Add(lines[1], true)
	}
	f.Fuzz(func(t *testing.T, text []byte, asKey bool) {
		b := New(testOptions())
		if asKey { // past the sum
			l := loader{b: b, scratch: sketch.New(), keys: map[Key]*entry{}, line: 2}
			if err := l.key(bytes.TrimSuffix(text, []byte("\n"))); err != nil {
				return
			}
			l.install()
		} else if err := b.Load(bytes.NewReader(text)); err != nil {
			return
		}
		again := New(testOptions())
		if err := again.Load(bytes.NewReader(savedText(t, b))); err != nil {
			t.Fatal(err)
		}
		for _, e := range b.entries {
			b.Learn(1, e.key, &Observation{})
		}
		b.Close(uint64(time.Hour))
	})
}
