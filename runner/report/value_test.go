package report

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"fivetuple/correlator/fleet"
	"fivetuple/correlator/signal"
	"fivetuple/correlator/sketch"
)

// valueOf returns the value of what was counted.
func valueOf(t testing.TB, f *Figures, route string) *Value {
	t.Helper()
	changed, _ := f.Changed(StepFine, 0)
	for _, c := range changed {
		if c.Route == route {
			return c.Value
		}
	}
	t.Fatalf("no value of %s", route)
	return nil
}

func encoded(t testing.TB, v *Value) string {
	t.Helper()
	text, err := v.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// sample is the text of a value that has everything.
func sample(t testing.TB) string {
	t.Helper()
	f, _ := newFigures(t, 1)
	for range 3 {
		f.Take(exchange("orders"))
	}
	f.Take(flagged(exchange("orders"), signal.Retransmit))
	return encoded(t, valueOf(t, f, "orders"))
}

// TestValueIsRead: what is read is what was written.
func TestValueIsRead(t *testing.T) {
	text := sample(t)
	const begin = `{"v":1,"calls":4,"timed":4,"match":[0,0,0,4],"request":{"packets":8,"bytes":4416,"payload":4000,"retransmitted":4},` +
		`"response":{"packets":20,"bytes":25040,"payload":24000,"retransmitted":16},"flagged":1,"flags":{"retransmit":1},"times_us":["`
	if !strings.HasPrefix(text, begin) {
		t.Errorf("%s\nwant %s...", text, begin)
	}
	v, err := Decode([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if again := encoded(t, v); again != text {
		t.Errorf("%s\nwas %s", again, text)
	}
}

// TestLongestValue: calls of every length fill a value less than its bound, and it is read.
func TestLongestValue(t *testing.T) {
	f, _ := newFigures(t, 1)
	r := flagged(exchange("orders"), signal.Retransmit)
	for s := range signal.Signals {
		r.Facts.Add(s, 0.5)
	}
	r.Request.Bytes, r.Response.Bytes = 1<<50, 1<<50
	for us := 1.0; us < 4e9; us *= 1.001 {
		f.Take(alike(r, us))
		r.Request.Bytes, r.Response.Bytes = 1000, 1000
		r.Request.Payload, r.Response.Payload = 0, 0
	}
	text := encoded(t, valueOf(t, f, "orders"))
	t.Logf("%d bytes", len(text))
	if len(text) > MaxValue {
		t.Errorf("%d bytes, at most %d are read", len(text), MaxValue)
	}
	v, err := Decode([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var all total
	all.add(v)
	if got := all.route("orders").Total.P99; got > 3.7e6 {
		t.Errorf("%v ms: times are cut at an hour", got)
	}
}

// TestDamagedValues: each number is looked at.
func TestDamagedValues(t *testing.T) {
	good := sample(t)
	packed := sketch.New()
	packed.Add(1000, 5)
	heavy, _ := json.Marshal(packed.Pack())
	part := func(key string) string { // the text of a member
		var all map[string]json.RawMessage
		if err := json.Unmarshal([]byte(good), &all); err != nil {
			t.Fatal(err)
		}
		return `"` + key + `":` + string(all[key])
	}
	for name, c := range map[string]struct{ from, to string }{
		"no calls":              {`"calls":4`, `"calls":0`},
		"a negative number":     {`"calls":4`, `"calls":-4`},
		"a fraction":            {`"calls":4`, `"calls":4.5`},
		"a huge number":         {`"bytes":4416`, `"bytes":9007199254740992`},
		"a number beyond":       {`"bytes":4416`, `"bytes":18446744073709551616`},
		"text":                  {`"calls":4`, `"calls":"4"`},
		"calls without a match": {`[0,0,0,4]`, `[0,0,0,3]`},
		"matches that overflow": {`[0,0,0,4]`, `[9007199254740991,9007199254740991,0,4]`},
		"more cut than calls":   {`"timed":4`, `"cut":5,"timed":4`},
		"more timed than exact": {`"timed":4`, `"timed":5`},
		"more flagged":          {`"flagged":1`, `"flagged":5`},
		"more of a signal":      {`"retransmit":1`, `"retransmit":2`},
		"payload beyond bytes":  {`"payload":4000`, `"payload":4417`},
		"lighter than its times": {
			`"timed":4`, `"timed":3`,
		},
		"a heavy sketch":    {part("times_us"), `"times_us":["",` + string(heavy) + `,"","","",""]`},
		"no sketch":         {`"times_us":["`, `"times_us":["AAAA`},
		"no base64":         {`"times_us":["`, `"times_us":["!!!`},
		"times of a number": {part("times_us"), `"times_us":4`},
		"an unknown member": {`"calls":4`, `"calls":4,"more":1`},
		"two values":        {"", good},
		"an early end":      {`"]}`, `"`},
	} {
		text := good + c.to
		if c.from != "" {
			if text = strings.Replace(good, c.from, c.to, 1); text == good {
				t.Fatalf("%s: nothing is replaced", name)
			}
		}
		if v, err := Decode([]byte(text)); !errors.Is(err, fleet.ErrDamaged) || v != nil {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
	}
	if _, err := Decode([]byte(strings.Replace(good, `"v":1`, `"v":2`, 1))); !errors.Is(err, fleet.ErrVersion) {
		t.Errorf("another version: %v", err)
	}
	if _, err := Decode([]byte(good + strings.Repeat(" ", MaxValue))); !errors.Is(err, fleet.ErrDamaged) || !strings.Contains(err.Error(), "bytes") {
		t.Errorf("a long value: %v", err)
	}
	newer := strings.Replace(good, `{"retransmit":1}`, `{"retransmit":1,"quantum":1}`, 1)
	if v, err := Decode([]byte(newer)); err != nil || encoded(t, v) != good {
		t.Errorf("a signal of a newer program: %v", err)
	}
}

// FuzzValue: what is taken weighs no more than its calls, and can be written and read again.
func FuzzValue(f *testing.F) {
	f.Add([]byte(sample(f)))
	f.Add([]byte(`{"v":1,"calls":1,"match":[1,0,0,0],"request":{},"response":{},"times_us":["","","","","",""]}`))
	f.Add([]byte(`{"v":2}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := Decode(text)
		if (err == nil) != (v != nil) || err != nil && !errors.Is(err, fleet.ErrDamaged) && !errors.Is(err, fleet.ErrVersion) {
			t.Fatalf("%v, %v", v, err)
		}
		if err != nil {
			return
		}
		again, err := Decode([]byte(encoded(t, v)))
		if d := cmp.Diff(v, again, cmp.Comparer(func(a, b sketch.Packed) bool { return string(a) == string(b) })); err != nil || d != "" {
			t.Fatalf("%v %s", err, d)
		}
		var sum total
		sum.add(v)
		sum.add(again)
		r := sum.route("x")
		for i, s := range sum.times {
			if s.DDSketch != nil && s.GetCount() > 2.05*float64(v.Timed) {
				t.Errorf("time %d weighs %v of %d calls", i, s.GetCount(), v.Timed)
			}
		}
		if _, err := json.Marshal(r); err != nil || r.Calls != 2*v.Calls {
			t.Errorf("%+v: %v", r, err)
		}
	})
}

// TestSumsStay: what hostile gateways say does not go over.
func TestSumsStay(t *testing.T) {
	a := Counts{Calls: math.MaxUint64 - 1, Flags: Flags{signal.Size: math.MaxUint64}}
	a.merge(&Counts{Calls: 5, Flags: Flags{signal.Size: 5}})
	if a.Calls != math.MaxUint64 || a.Flags[signal.Size] != math.MaxUint64 {
		t.Errorf("%+v", a)
	}
}

// TestChanged: only what has changed since a mark is given, each time as a whole.
func TestChanged(t *testing.T) {
	f, clock := newFigures(t, 10)
	f.Take(exchange("orders"))
	f.Take(exchange("carts"))
	all, mark := f.Changed(StepFine, 0)
	if len(all) != 2 {
		t.Fatalf("%d values", len(all))
	}
	if none, same := f.Changed(StepFine, mark); len(none) != 0 || same != mark {
		t.Errorf("%d values, mark %d, was %d", len(none), same, mark)
	}
	f.Take(exchange("orders"))
	clock.advance(5 * time.Minute) // what the closed bucket got last is given
	f.Take(exchange("orders"))
	some, mark := f.Changed(StepFine, mark)
	got := map[Bucket]uint64{}
	for _, c := range some {
		if c.Route != "orders" {
			t.Errorf("%s has not changed", c.Route)
		}
		got[c.Bucket] = c.Calls
	}
	want := map[Bucket]uint64{{StepFine, noon.Unix()}: 2, {StepFine, noon.Unix() + 300}: 1}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	hours, _ := f.Changed(StepHour, 0)
	if len(hours) != 2 {
		t.Errorf("%d hours", len(hours))
	}
	clock.advance(2 * time.Hour)
	if none, _ := f.Changed(StepFine, 0); len(none) != 0 {
		t.Errorf("%d values that are no longer kept", len(none))
	}
	if none, _ := f.Changed(StepHour, mark); len(none) != 0 {
		t.Errorf("%d hours", len(none))
	}
}

// TestLoad: a process goes on with what the one before it has published, also in buckets that are closed.
func TestLoad(t *testing.T) {
	before, clock := newFigures(t, 10)
	for i := range 40 {
		before.Take(took(exchange("orders"), float64(1000+i)))
		clock.advance(4 * time.Minute) // until 14:40
	}
	after := New(Options{Routes: 10, Gateway: "gw-1", Now: clock.now})
	after.Take(took(exchange("orders"), 500))
	for _, step := range []int64{StepFine, StepHour} {
		changed, _ := before.Changed(step, 0)
		for _, c := range changed {
			if err := after.Load(c.Bucket, c.Route, []byte(encoded(t, c.Value))); err != nil {
				t.Fatal(err)
			}
		}
	}
	got := routeOf(t, after.Report(Query{Since: MaxSince}), "orders")
	if got.Calls != 41 || math.Abs(got.Total.P50-1.02) > 0.02 {
		t.Errorf("%d calls, median %v ms", got.Calls, got.Total.P50)
	}
	if n := routeOf(t, after.Report(Query{Since: time.Hour}), "orders").Calls; n != 16 { // from 13:40
		t.Errorf("%d calls in the last hour", n)
	}
	for i, b := range after.fine.buckets {
		last := i == len(after.fine.buckets)-1
		if c := b.cells["orders"]; i > 0 && b.start <= after.fine.buckets[i-1].start || (c.times != [times]sketch.Sketch{}) != last {
			t.Errorf("bucket %d is out of its order, or not packed", i)
		}
	}
	changed, _ := after.Changed(StepFine, Loaded)
	if len(changed) != 1 || changed[0].Calls != 1 {
		t.Errorf("%d values are to be published again", len(changed))
	}
	value := []byte(sample(t))
	for _, b := range []Bucket{
		{StepFine, clock.now().Unix() + 300},
		{StepFine, noon.Unix()},
		{StepFine, clock.now().Unix() + 1},
		{60, clock.now().Unix()},
		{StepHour, noon.Unix() - 3600*25},
	} {
		if err := after.Load(b, "orders", value); !errors.Is(err, errBucket) {
			t.Errorf("%+v: %v", b, err)
		}
	}
	if err := after.Load(Bucket{StepFine, clock.now().Unix()}, "orders", value[1:]); !errors.Is(err, fleet.ErrDamaged) {
		t.Error(err)
	}
}
