package simulated

import (
	"testing"

	"fivetuple/correlator"
	"fivetuple/examples/evaluate/outcome"
)

// TestBenign plays two of the scenarios; make evaluate plays all.
func TestBenign(t *testing.T) {
	for _, s := range []Scenario{uploads(), longPolling()} {
		t.Run(s.Name, func(t *testing.T) {
			b, err := s.Run(defaults(), 1)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%+v", b)
			if b.Calls < 10_000 || b.Flags > 0 || b.Refused > 0 {
				t.Errorf("%d calls, %d flags %v, %d refused", b.Calls, b.Flags, b.Signals, b.Refused)
			}
		})
	}
}

// TestUploadsArrive: of 30 bodies of a gibibyte most are there before the end, some with segments that came late.
func TestUploadsArrive(t *testing.T) {
	var result outcome.Benign
	w, err := newWorld(defaults(), 1, &result)
	if err != nil {
		t.Fatal(err)
	}
	whole, late := 0, 0
	w.ended = func(r *correlator.CallRecord) {
		if r.Request.Payload >= 1<<30 && !r.Cut {
			whole++
			if r.Request.OutOfOrder > 0 {
				late++
			}
		}
	}
	s := uploads()
	s.play(w)
	w.run(s.Time)
	t.Logf("%d whole, %d with late segments", whole, late)
	if whole < 25 || late == 0 {
		t.Errorf("%d uploads arrived, %d with late segments", whole, late)
	}
}
