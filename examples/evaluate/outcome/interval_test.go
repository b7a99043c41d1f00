package outcome_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"fivetuple/examples/evaluate/outcome"
)

// TestRateOf holds intervals against those of Garwood's table (and of scipy.stats.chi2).
func TestRateOf(t *testing.T) {
	for _, test := range []struct {
		events    int
		low, high float64
	}{
		{0, 0, 3.689},
		{1, 0.0253, 5.572},
		{3, 0.6187, 8.767},
		{10, 4.795, 18.390},
		{100, 81.36, 121.63},
	} {
		r := outcome.RateOf(test.events, 1)
		if math.Abs(r.Low-test.low) > 0.005 || math.Abs(r.High-test.high) > 0.005 || r.Per != float64(test.events) {
			t.Errorf("%d events: %+v, want %v to %v", test.events, r, test.low, test.high)
		}
	}
	if r := outcome.RateOf(2, 4); r.Per != 0.5 || r.High > 2 {
		t.Errorf("2 events in 4 units: %+v", r)
	}
}

// TestReportWithoutCalls: figures of captures alone can be written, too.
func TestReportWithoutCalls(t *testing.T) {
	r := outcome.Report{Benign: []outcome.Benign{{Where: outcome.Capture}}}
	r.Sum()
	text, err := json.Marshal(&r)
	if err != nil || !strings.Contains(string(text), `"flags_per_100000_calls":{"events":0,"rate":0,"low":0,"high":null}`) {
		t.Errorf("%s, %v", text, err)
	}
}
