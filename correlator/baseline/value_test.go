package baseline

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"fivetuple/correlator/sketch"
)

// widest returns a value of as many bins as are taken, of all quantities.
func widest(o Options, weight float64) []byte {
	s := sketch.New()
	for bin := 1; bin < sketch.MaxBins; bin++ {
		s.AddBin(bin, 1)
	}
	w := &window{Weight: weight, Rate: s.Pack()}
	s.Clear()
	for bin := 300; bin < 300+1500; bin++ { // that fit into maxQuantity
		s.AddBin(min(bin, sketch.MaxBins-1), 1)
	}
	for q := range Quantities {
		w.Sketches[q] = s.Pack()
	}
	return encode(w, o.Window)
}

func TestDecode(t *testing.T) {
	good := string(forge(testOptions(), 1000, 1))
	for _, test := range []struct {
		name, text string
		want       error
	}{
		{"a window", good, nil},
		{"the widest", string(widest(testOptions(), 1000)), nil},
		{"empty", "", ErrDamaged},
		{"an object", "{}", ErrDamaged},
		{"version 0", `{"v":0}`, ErrDamaged},
		{"version 2", `{"v":2,"anything":[]}`, errVersion},
		{"version 2, last", `{"anything":[],"v":2}`, errVersion},
		{"version 1, twice", strings.Replace(good, `"window"`, `"v":2,"window"`, 1), ErrDamaged},
		{"version 1 with more", strings.Replace(good, `"window"`, `"more":1,"window"`, 1), ErrDamaged},
		{"two", good + good, ErrDamaged},
		{"cut", good[:len(good)-1], ErrDamaged},
		{"no weight", strings.Replace(good, `"weight":1000`, `"weight":0`, 1), ErrDamaged},
		{"a weight below 0", strings.Replace(good, `"weight":1000`, `"weight":-1`, 1), ErrDamaged},
		{"too much weight", strings.Replace(good, `"weight":1000`, `"weight":1e12`, 1), ErrDamaged},
		{"an infinite weight", strings.Replace(good, `"weight":1000`, `"weight":1e999`, 1), ErrDamaged},
		{"another window", strings.Replace(good, `"window":60000`, `"window":60001`, 1), errWindow},
		{"long", good + strings.Repeat(" ", MaxPublished), ErrDamaged},
		{"a long sketch", strings.Replace(good, `"sketches":["`, `"sketches":["`+strings.Repeat("AAAA", maxQuantity/3+1), 1), ErrDamaged},
		{"an endless sketch", replaceSketch(good, bytes.Repeat([]byte{1}, 2*maxQuantity/2)), ErrDamaged},
		{"half a sketch", replaceSketch(good, []byte{1, 2, 3}), ErrDamaged},
		{"a unit that is next to nothing", replaceSketch(good, append([]byte{1}, 0, 0, 0, 0, 0, 0, 0, 0, 9, 1)), ErrDamaged},
		{"a unit that is no number", replaceSketch(good, append(bytes.Repeat([]byte{0xff}, 8), 1)), ErrDamaged},
	} {
		h, err := decode([]byte(test.text), time.Minute)
		if !errors.Is(err, test.want) || (err == nil) != (h != nil) || test.want == nil && err != nil {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
}

// replaceSketch replaces the sketch of a value's size.
func replaceSketch(text string, packed []byte) string {
	before, rest, _ := strings.Cut(text, `"sketches":["`)
	_, rest, _ = strings.Cut(rest, `"`)
	return before + `"sketches":["` + base64.StdEncoding.EncodeToString(packed) + `"` + rest
}

// TestAClaimedWeight: what a sketch weighs beyond the weight that it is published with is nothing.
func TestAClaimedWeight(t *testing.T) {
	var v value
	if err := json.Unmarshal(forge(testOptions(), 1e11, 1000), &v); err != nil {
		t.Fatal(err)
	}
	v.Weight = 20
	text, _ := json.Marshal(v) //nolint:errchkjson // numbers
	g := newGateways(t, testOptions(), 2)
	g.windows(4, func(i int, w *world) {
		if i == 0 {
			w.crowd(10)
		}
	})
	w := g.worlds[0]
	period := w.b.o.period(w.b.wall(w.now))
	if s := w.b.Merge(w.now, testKey(), period, []Peer{{"liar", text}}); s != (Skipped{}) {
		t.Fatalf("got %+v", s)
	}
	e := w.b.published.Load().keys[testKey()]
	s := sketch.New()
	if err := s.Merge(e.fleet[len(e.fleet)-1].Sketches[Response]); err != nil || math.Abs(s.GetCount()-20) > 0.1 {
		t.Errorf("a weight of %v, %v", s.GetCount(), err)
	}
}

// FuzzMerge: whatever others say, of any period, what is usual stays sound, what was ready stays so, and memory is bounded.
func FuzzMerge(f *testing.F) {
	f.Add(forge(testOptions(), 1000, 1), forge(testOptions(), 1e11, 1e6), int64(0))
	f.Add(widest(testOptions(), 500), []byte(`{"v":2}`), int64(3))
	f.Add([]byte(replaceSketch(string(forge(testOptions(), 100, 1)), append(make([]byte, 6), 0xf0, 0x3f, 9, 1, 1))), []byte{}, int64(-1))
	f.Add([]byte(replaceSketch(string(forge(testOptions(), 1e11, 1)), []byte{0xff, 1, 0, 0, 0, 0, 0, 0, 0, 9, 1})), []byte{}, int64(0))
	f.Fuzz(func(t *testing.T, one, two []byte, ago int64) {
		w := newWorld(t, testOptions())
		w.b.Share(0.2)
		w.crowd(2)
		w.second()
		for i := range int64(3) {
			ready := w.b.Usual(testKey()).Ready
			period := w.b.o.period(w.b.wall(w.now)) - ago%16 - i
			s := w.b.Merge(w.now, testKey(), period, []Peer{{"a", one}, {"b", two}, {"a", two}})
			e := w.b.published.Load().keys[testKey()]
			u := e.usual.Load()
			if !u.isSound() || ready && !u.Ready || s.Version+s.Damaged+s.Window+s.Thin > 2 || len(e.fleet) > w.b.o.Windows {
				t.Fatalf("got %+v, skipped %+v, %d windows", u, s, len(e.fleet))
			}
			for _, f := range e.fleet {
				for q := range Quantities + 1 {
					if len(*f.at(q)) > packedBytes {
						t.Fatalf("%d bytes", len(*f.at(q)))
					}
				}
			}
		}
		w.b.Strangers()
		w.windows(2, func() { w.crowd(3) })
		if err := New(testOptions()).Load(bytes.NewReader(savedText(t, w.b))); err != nil {
			t.Fatal(err)
		}
	})
}
