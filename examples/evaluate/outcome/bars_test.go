package outcome_test

import (
	"strings"
	"testing"

	"fivetuple/examples/evaluate/outcome"
)

// TestCheck: a report that reaches all bars has nothing below them, and each way to miss one is named.
func TestCheck(t *testing.T) {
	good := func() *outcome.Report {
		return &outcome.Report{
			Attacks: []outcome.Attack{
				{Name: "flood", Where: outcome.Live, Found: true, Seconds: 1, Honest: &outcome.Honest{Calls: 10}},
				{Name: "drip", Kind: "slow-headers", Where: outcome.Live, Found: true, Seconds: 9},
				{Name: "scan", Where: outcome.Capture, Found: true, Seconds: 1.5},
				{Name: "short", Where: outcome.Capture, Found: true, Short: true, Seconds: 60},
			},
			Benign:   []outcome.Benign{{Name: "peak", Where: outcome.Simulated, Calls: 500_000, Flags: 5}},
			Learning: []outcome.Learning{{Name: "ramp", Figure: 2, Bound: 2}},
		}
	}
	for _, test := range []struct {
		spoil func(*outcome.Report)
		want  string
	}{
		{func(*outcome.Report) {}, ""},
		{func(r *outcome.Report) { r.Attacks[2].Found = false }, "scan (capture): not found"},
		{func(r *outcome.Report) { r.Attacks[1].Seconds = 10.1 }, "drip (live): found after 10.1 s"},
		{func(r *outcome.Report) { r.Attacks[0].Seconds, r.Attacks[2].Seconds = 3, 3 }, "in the median"},
		{func(r *outcome.Report) { r.Attacks[0].Honest.Flagged = 1 }, "1 were flagged"},
		{func(r *outcome.Report) { r.Attacks[0].Honest.Refused = 1 }, "1 refused"},
		{func(r *outcome.Report) { r.Benign[0].Flags = 6 }, "1.20 flags per 100,000"},
		{func(r *outcome.Report) { r.Benign[0].Refused = 1 }, "1 calls were refused"},
		{func(r *outcome.Report) { r.Benign[0].Calls = 499_999; r.Benign[0].Flags = 0 }, "fewer than"},
		{func(r *outcome.Report) {
			r.Benign = append(r.Benign, outcome.Benign{Name: "calm", Where: outcome.Capture, Flags: 1})
		}, "calm: 1 flags on ordinary traffic"},
		{func(r *outcome.Report) { r.Learning[0].Figure = 2.1 }, "ramp"},
	} {
		r := good()
		test.spoil(r)
		r.Sum()
		r.Check(true)
		if got := strings.Join(r.Below, "\n"); test.want == "" && got != "" || !strings.Contains(got, test.want) {
			t.Errorf("below the bars: %q, want %q", got, test.want)
		}
	}
}
