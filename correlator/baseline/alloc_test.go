package baseline

import "testing"

// TestTheHotPathAllocatesNothing: neither a look-up, nor learning once the samples are full.
func TestTheHotPathAllocatesNothing(t *testing.T) {
	w := newWorld(t, testOptions())
	for range 30 {
		w.crowd(30)
	}
	w.second()
	for range 30 {
		w.crowd(30)
	}
	known, unknown := testKey(), Key{Route: "unknown", Method: "BREW"}
	if n := testing.AllocsPerRun(1000, func() { w.b.Usual(known); w.b.Usual(unknown) }); n != 0 {
		t.Errorf("Usual allocates %v times", n)
	}
	o := Observation{Source: address(3), Values: typical(1)}
	if n := testing.AllocsPerRun(1000, func() { w.b.Learn(w.now, known, &o) }); n != 0 {
		t.Errorf("Learn allocates %v times", n)
	}
}
