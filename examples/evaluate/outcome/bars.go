package outcome

import (
	"fmt"
	"strings"
)

// The bars.
const (
	medianMost = 2.0  // seconds
	slowMost   = 10.0 // seconds: slow headers and bodies are not slow before some seconds have passed
	flagsMost  = 1.0  // per 100,000 benign calls
	// CallsLeast is how many benign calls it takes to say so.
	CallsLeast = 500_000
)

// Check says which bars were not reached. Whole: everything was played, so that there have to be enough calls.
func (r *Report) Check(whole bool) {
	below := []string{} // in JSON a list, also if it is empty
	add := func(format string, args ...any) { below = append(below, fmt.Sprintf(format, args...)) }
	for i := range r.Attacks {
		a := &r.Attacks[i]
		switch {
		case !a.Found:
			add("%s (%s): not found", a.Name, a.Where)
		case strings.HasPrefix(a.Kind, "slow-") && !a.Short && a.Seconds > slowMost:
			add("%s (%s): found after %.1f s, more than %.0f", a.Name, a.Where, a.Seconds, slowMost)
		}
		if h := a.Honest; h != nil && h.Flagged+h.Refused > 0 {
			add("%s (%s): of the honest client's %d calls %d were flagged and %d refused", a.Name, a.Where, h.Calls, h.Flagged, h.Refused)
		}
	}
	t := &r.Totals
	if t.MedianSeconds > medianMost {
		add("attacks: found after %.2f s in the median, more than %.0f", t.MedianSeconds, medianMost)
	}
	for i := range r.Benign {
		b := &r.Benign[i]
		if b.Refused > 0 {
			add("%s (%s): %d calls were refused", b.Name, b.Where, b.Refused)
		}
		if b.Where == Capture && b.Flags > 0 {
			add("%s: %d flags on ordinary traffic", b.Name, b.Flags)
		}
	}
	if t.Calls > 0 && t.Per100000.Per > flagsMost {
		add("benign calls: %.2f flags per 100,000, more than %.0f", t.Per100000.Per, flagsMost)
	}
	if whole && t.Calls < CallsLeast {
		add("benign calls: %d, fewer than %d", t.Calls, CallsLeast)
	}
	for i := range r.Learning {
		if l := &r.Learning[i]; !l.Within() {
			add("%s: %s: %.2f, more than %.2f", l.Name, l.Quantity, l.Figure, l.Bound)
		}
	}
	r.Below = below
}
