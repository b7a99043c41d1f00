package simulated

import (
	"testing"
)

// TestRampIsBounded: what attackers make usual moves, but not faster than it may.
func TestRampIsBounded(t *testing.T) {
	all, err := Ramps(defaults(), 1)
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
	for _, got := range all {
		t.Logf("%+v", got)
		if !got.Within() || got.Figure < 1.1 {
			t.Errorf("%s: moved by %.2f a day, want more than 1.1 and at most %.2f", got.Name, got.Figure, got.Bound)
		}
	}
}

// TestShiftStopsAlarming: a change of everybody's is flagged at first, and no longer than the settings say.
func TestShiftStopsAlarming(t *testing.T) {
	got, err := Shift(defaults(), 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", got)
	if !got.Within() || got.Details["flags"] == 0 || got.Details["flags_before"] != 0 {
		t.Errorf("want flags at first, and none after %.0f minutes", got.Bound)
	}
}
