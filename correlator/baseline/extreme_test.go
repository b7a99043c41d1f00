package baseline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
)

// extremes are numbers, as JSON, that no learning writes.
func extremes() []string {
	return []string{
		"-1", "0", "1e-308", "5e-324", "-1e308", "1e308", "1e15", "9.9e14", "30000000000", "1e999", "NaN", "Infinity", "null", `"1"`, "1.5",
		"9223372036854775807", "-9223372036854775808", "9223372036854775808", "18446744073709551615", "4294967296", "86400000000000",
	}
}

// learnedLines returns a file's header and the line of the key of all tests.
func learnedLines(t *testing.T) [][]byte {
	t.Helper()
	lines := bytes.Split(savedText(t, learned(t).b), []byte("\n"))
	for _, l := range lines {
		if bytes.HasPrefix(l, []byte(`{"route":"orders","method":"GET"`)) {
			return [][]byte{lines[0], l}
		}
	}
	t.Fatalf("no line of %v", testKey())
	return nil
}

// withNumber returns lines of a file with the n-th number of a line replaced, and the right sum; false: there is no such number.
func withNumber(lines [][]byte, line, n int, number string) ([]byte, bool) {
	var changed bytes.Buffer
	for i, l := range lines {
		if i == line {
			at, ok := numberAt(l, n)
			if !ok {
				return nil, false
			}
			l = append(append(bytes.Clone(l[:at[0]]), number...), l[at[1]:]...)
		}
		changed.Write(l)
		changed.WriteByte('\n')
	}
	fmt.Fprintf(&changed, `{"keys":%d,"sum":%d}`+"\n", len(lines)-1, xxhash.Sum64(changed.Bytes()))
	return changed.Bytes(), true
}

// numberAt returns where the n-th number of a JSON text is.
func numberAt(text []byte, n int) (at [2]int, ok bool) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	for {
		token, err := d.Token()
		if err != nil {
			return at, false
		}
		if number, isNumber := token.(json.Number); isNumber {
			if n == 0 {
				end := int(d.InputOffset())
				return [2]int{end - len(number), end}, true
			}
			n--
		}
	}
}

// TestExtremeNumbers: whoever can write the file puts every extreme number in the place of every number. The file is refused as
// damaged, or what is usual goes on to be numbers that can be learned; it can be saved and loaded again, moves by what the drift
// allows, and takes no more memory.
func TestExtremeNumbers(t *testing.T) {
	lines := learnedLines(t)
	before, taken := heap(), 0
	for line := range lines {
		for n := 0; ; n++ {
			_, ok := withNumber(lines, line, n, "0")
			if !ok {
				break
			}
			for _, number := range extremes() {
				text, _ := withNumber(lines, line, n, number)
				if loadExtreme(t, fmt.Sprintf("line %d, number %d: %s", line, n, number), text) {
					taken++
				}
			}
		}
	}
	if after := heap(); after > before+(8<<20) {
		t.Errorf("%d bytes more are in use", after-before)
	}
	t.Logf("%d files were taken", taken)
	if taken == 0 {
		t.Error("no file was taken: the sums are wrong")
	}
}

func loadExtreme(t *testing.T, what string, text []byte) (taken bool) {
	t.Helper()
	w := newWorld(t, testOptions())
	if err := w.b.Load(bytes.NewReader(text)); err != nil {
		if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNewer) {
			t.Errorf("%s: %v", what, err)
		}
		return false
	}
	wantSound(t, what, w.b)
	for range 3 {
		was := *w.b.Usual(testKey())
		w.windows(1, func() { w.crowd(25) })
		now := w.b.Usual(testKey())
		wantSound(t, what, w.b)
		if factor := now.Quantities[Response].P99 / was.Quantities[Response].P99; was.Ready && was.Quantities[Response].P99 > 1000 && (factor > 2.1 || factor < 0.47) {
			t.Errorf("%s: the 99th percentile moved by %v in one window", what, factor)
		}
	}
	w.b.Close(w.now)
	again := New(testOptions())
	if err := again.Load(bytes.NewReader(savedText(t, w.b))); err != nil {
		t.Errorf("%s: saved, it cannot be loaded again: %v", what, err)
	}
	return true
}

func wantSound(t *testing.T, what string, b *Baselines) {
	t.Helper()
	for _, e := range b.entries {
		u := e.usual.Load()
		for _, r := range append(u.Quantities[:], u.Rate) {
			if math.IsNaN(r.P50) || math.IsNaN(r.P99) || math.IsInf(r.P99, 0) || r.P50 < 0 || r.P99 < r.P50 {
				t.Errorf("%s: usual is %+v", what, u)
			}
		}
	}
}

// TestExtremeStepsMoveNothing: how often a baseline has moved bounds how far it moves next. A number that overflows when it is
// counted on would set it free.
func TestExtremeStepsMoveNothing(t *testing.T) {
	lines := learnedLines(t)
	steps := strings.Index(string(lines[1]), `"steps":`)
	n := 0
	for {
		at, ok := numberAt(lines[1], n)
		if !ok {
			t.Fatal("no steps")
		}
		if at[0] > steps {
			break
		}
		n++
	}
	text, _ := withNumber(lines, 1, n, "9223372036854775807")
	w := newWorld(t, testOptions())
	if err := w.b.Load(bytes.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	before := w.response().P99
	w.windows(4, func() {
		for source := range 25 {
			w.learn(source, 2.9*before, false)
		}
	})
	if factor := w.response().P99 / before; factor > 1.05 {
		t.Errorf("in four windows of a minute the 99th percentile moved by %v, of a bound of 2 a day", factor)
	}
}

// TestCalledInTheFuture: a key whose last call lies in the future, according to the file, is evicted in the end.
func TestCalledInTheFuture(t *testing.T) {
	for _, called := range []string{"9223372036854775807", "-9223372036854775808", "4000000000000000000"} {
		lines := learnedLines(t)
		text, _ := withNumber(lines, 1, 0, called)
		o := testOptions()
		o.Keys = 1
		w := newWorld(t, o)
		if err := w.b.Load(bytes.NewReader(text)); err != nil {
			t.Fatal(err)
		}
		other := Key{"another", "GET"}
		for range 3 {
			w.now += uint64(idleReady)
			w.b.Learn(w.now, other, &Observation{Source: address(1)})
			w.second()
		}
		if w.b.published.Load().keys[testKey()] != nil {
			t.Errorf("called %s: it is still there", called)
		}
	}
}
