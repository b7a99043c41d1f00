package simulated

import (
	"testing"
)

// TestAttacksAreFound: that no flag is raised on ordinary traffic says something only if there are flags in this world.
func TestAttacksAreFound(t *testing.T) {
	for _, a := range Attacks() {
		t.Run(a.Name, func(t *testing.T) {
			t.Parallel()
			got, err := a.Run(defaults(), 1)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%.2f s, worst %.2f; %v; %+v; fixed %+v", got.Seconds, got.Worst, got.Signals, *got.Honest, got.Fixed)
			if !got.Found {
				t.Error("not found in every trial")
			}
			if got.Honest.Flagged > 0 || got.Honest.Calls == 0 {
				t.Errorf("honest people: %+v", *got.Honest)
			}
		})
	}
}
