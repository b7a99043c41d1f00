package report

import (
	"testing"
	"time"
)

// TestLoadedFiguresAreToldAgain: what was loaded is not told, until everything has to be; and times of before stay, whatever is
// loaded on top of them.
func TestLoadedFiguresAreToldAgain(t *testing.T) {
	before, _ := newFigures(t, 10)
	untimed := exchange("a")
	untimed.Cut = true
	before.Take(untimed)
	told, _ := before.Changed(StepFine, 0)
	text, err := told[0].Encode()
	if err != nil {
		t.Fatal(err)
	}

	f, c := newFigures(t, 10)
	f.Take(exchange("a"))
	c.advance(2 * time.Duration(StepFine) * time.Second)
	f.Take(exchange("b")) // closes the bucket
	f.Take(exchange("b"))
	if err := f.Load(told[0].Bucket, "c", text); err != nil {
		t.Fatal(err)
	}
	if some, _ := f.Changed(StepFine, Loaded); len(some) != 2 {
		t.Errorf("told %d that are new, want 2: %+v", len(some), some)
	}
	if all, _ := f.Changed(StepFine, 0); len(all) != 3 {
		t.Errorf("told all %d, want 3: %+v", len(all), all)
	}
	if err := f.Load(told[0].Bucket, "a", text); err != nil {
		t.Fatal(err)
	}
	a := routeOf(t, f.Report(Query{Since: DefaultSince}), "a")
	if a.Calls != 2 || a.Timed != 1 || a.Total == nil {
		t.Errorf("%+v", a)
	}
}
