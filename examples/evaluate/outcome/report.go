package outcome

import "slices"

// Report is everything that was found.
type Report struct {
	Attacks  []Attack   `json:"attacks"`
	Benign   []Benign   `json:"benign"`
	Learning []Learning `json:"learning"`
	Totals   Totals     `json:"totals"`
	Below    []string   `json:"below_the_bars"` // empty: all bars were reached
}

// Totals are sums over all that was played.
type Totals struct {
	Found        int `json:"found"`
	FoundByFixed int `json:"found_by_fixed_limits"`
	// Medians are from an attack's first packet to the first flag, of attacks that lasted ShortTime; of trials their median counts.
	MedianSeconds   float64 `json:"median_seconds"`
	MedianReal      float64 `json:"median_seconds_of_captures_and_live"`
	MedianSimulated float64 `json:"median_seconds_of_simulated"`
	MedianOfFixed   float64 `json:"median_seconds_of_fixed_limits"`
	Calls           int     `json:"benign_calls"`
	Flags           int     `json:"benign_flags"`
	Refused         int     `json:"benign_refused"`
	FixedAlarms     int     `json:"benign_alarms_of_fixed_limits"`
	// Per100000 is flags per 100,000 calls.
	Per100000  Rate `json:"flags_per_100000_calls"`
	PerHour    Rate `json:"flags_per_hour"`
	ColdCalls  int  `json:"cold_calls"`
	ColdFlags  int  `json:"cold_flags"`
	HonestCall int  `json:"honest_calls_beside_attacks"`
	HonestFlag int  `json:"honest_flags_beside_attacks"`
	// Captures are those of ordinary traffic, and CaptureFlags the flags that they raised.
	Captures     int `json:"ordinary_captures"`
	CaptureFlags int `json:"ordinary_captures_flags"`
}

// Sum fills in the totals.
func (r *Report) Sum() {
	t := &r.Totals
	var real, simulated, byFixed []float64
	for i := range r.Attacks {
		a := &r.Attacks[i]
		if a.Found {
			t.Found++
		}
		switch {
		case !a.Found || a.Short:
		case a.Where == Simulated:
			simulated = append(simulated, a.Seconds)
		default:
			real = append(real, a.Seconds)
		}
		if first := a.FirstFixed(); first.Found {
			t.FoundByFixed++
			if !a.Short {
				byFixed = append(byFixed, first.Seconds)
			}
		}
		if a.Honest != nil {
			t.HonestCall += a.Honest.Calls
			t.HonestFlag += a.Honest.Flagged
		}
	}
	t.MedianReal, t.MedianSimulated, t.MedianOfFixed = Median(real), Median(simulated), Median(byFixed)
	t.MedianSeconds = Median(slices.Concat(real, simulated))
	hours := 0.0
	for i := range r.Benign {
		b := &r.Benign[i]
		if b.Where == Capture {
			t.Captures++
			t.CaptureFlags += b.Flags
			continue // no plugin sees its calls, and some have a year in which nothing happens
		}
		t.Calls += b.Calls
		t.Flags += b.Flags
		t.Refused += b.Refused
		t.FixedAlarms += b.FixedAlarms()
		t.ColdCalls += b.ColdCalls
		t.ColdFlags += b.ColdFlags
		hours += b.Seconds / 3600
	}
	t.Per100000, t.PerHour = RateOf(t.Flags, float64(t.Calls)/100_000), RateOf(t.Flags, hours)
}

// Median returns the middle value; 0 of none. It sorts them.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	middle := len(values) / 2
	if len(values)%2 == 1 {
		return values[middle]
	}
	return (values[middle-1] + values[middle]) / 2
}
