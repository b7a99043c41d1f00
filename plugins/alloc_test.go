//go:build !race

package plugins_test

import "testing"

// TestFilterAllocations: a text for each plugin's headers, and nothing else.
func TestFilterAllocations(t *testing.T) {
	for name, confs := range leanConfs() {
		filter, r := lean(t, confs...)
		want := float64(len(confs))
		if name == "enforce" {
			want = 0
		}
		if n := testing.AllocsPerRun(1000, filter); n > want {
			t.Errorf("%s: %v allocations a call, want %v", name, n, want)
		}
		if (r.set == 0) != (name == "enforce") {
			t.Errorf("%s: %d headers were set", name, r.set)
		}
	}
}
