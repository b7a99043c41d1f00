package outcome

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// Print prints the tables.
func (r *Report) Print(w io.Writer) error {
	r.printAttacks(w)
	r.printBenign(w)
	r.printLearning(w)
	r.printTotals(w)
	for _, below := range r.Below {
		fmt.Fprintf(w, "BELOW  %s\n", below)
	}
	_, err := fmt.Fprintln(w)
	return err
}

func table(w io.Writer, title, head string, row func(to io.Writer)) {
	fmt.Fprintf(w, "\n%s\n", title)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, head)
	row(t)
	_ = t.Flush() // of w, whose last write is checked
}

func (r *Report) printAttacks(w io.Writer) {
	if len(r.Attacks) == 0 {
		return
	}
	table(w, "Attacks", "attack\twhere\trate\tsources\tlasted s\tfound after s\tsignals\tfixed limit after s\thonest calls/flagged/refused/failed", func(t io.Writer) {
		for i := range r.Attacks {
			a := &r.Attacks[i]
			honest := "-"
			if h := a.Honest; h != nil {
				honest = fmt.Sprintf("%d/%d/%d/%d", h.Calls, h.Flagged, h.Refused, h.Failed)
			}
			by := "not found"
			if f := a.FirstFixed(); f.Found {
				by = fmt.Sprintf("%.2f (%s)", f.Seconds, f.Limit)
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%.1f\t%s\t%s\t%s\t%s\n", a.Name, a.Where, a.Rate, a.Sources, a.Duration, a.found(),
				strings.Join(a.Signals, "; "), by, honest)
		}
	})
	table(w, "What separates an attack from its benign twin", "attack\tand its twin", func(t io.Writer) {
		for i := range r.Attacks {
			if a := &r.Attacks[i]; a.Twin != "" {
				fmt.Fprintf(t, "%s\t%s\n", a.Name, a.Twin)
			}
		}
	})
}

func (a *Attack) found() string {
	switch {
	case !a.Found:
		return "NOT FOUND"
	case a.Short:
		return fmt.Sprintf("%.2f (short)", a.Seconds)
	case a.Trials > 1:
		return fmt.Sprintf("%.2f (%d trials, worst %.2f)", a.Seconds, a.Trials, a.Worst)
	}
	return fmt.Sprintf("%.2f", a.Seconds)
}

func (r *Report) printBenign(w io.Writer) {
	if len(r.Benign) == 0 {
		return
	}
	table(w, "Ordinary traffic", "traffic\twhere\tsources\thours\tcalls\tflags\tan hour\tper 100,000 calls\tcold calls/flags\trefused\talarms of fixed limits", func(t io.Writer) {
		for i := range r.Benign {
			b := &r.Benign[i]
			rate := "-"
			if b.Calls > 0 {
				n := RateOf(b.Flags, float64(b.Calls)/100_000)
				rate = fmt.Sprintf("%.2f (%.2f to %.2f)", n.Per, n.Low, n.High)
			}
			hour := "-"
			if b.Where != Capture {
				hour = fmt.Sprintf("%.2f", b.PerHour())
			}
			fmt.Fprintf(t, "%s\t%s\t%d\t%.3f\t%d\t%d%s\t%s\t%s\t%d/%d\t%d\t%d%s\n", b.Name, b.Where, b.Sources, b.Seconds/3600, b.Calls,
				b.Flags, list(b.Signals), hour, rate, b.ColdCalls, b.ColdFlags, b.Refused, b.FixedAlarms(), list(b.Fixed))
		}
	})
	fmt.Fprintln(w)
	for i := range r.Benign {
		if b := &r.Benign[i]; b.What != "" {
			fmt.Fprintf(w, "  %s (%s): %s\n", b.Name, b.Where, b.What)
		}
	}
}

// list returns counts as " (a 1, b 2)".
func list(counts map[string]int) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s: %d", name, counts[name]))
	}
	if parts == nil {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

func (r *Report) printLearning(w io.Writer) {
	if len(r.Learning) == 0 {
		return
	}
	table(w, "What can be made usual", "case\tfigure\tbound\tof\twhat", func(t io.Writer) {
		for i := range r.Learning {
			l := &r.Learning[i]
			fmt.Fprintf(t, "%s\t%.2f\t%.2f\t%s\t%s\n", l.Name, l.Figure, l.Bound, l.Quantity, l.What)
		}
	})
	for i := range r.Learning {
		l := &r.Learning[i]
		fmt.Fprintf(w, "  %s:", l.Name)
		for _, name := range slices.Sorted(maps.Keys(l.Details)) {
			fmt.Fprintf(w, " %s %.4g", name, l.Details[name])
		}
		fmt.Fprintln(w)
	}
}

func (r *Report) printTotals(w io.Writer) {
	t := &r.Totals
	fmt.Fprintln(w)
	if n := len(r.Attacks); n > 0 {
		fmt.Fprintf(w, "attacks: %d of %d found, after %.2f s in the median (captures and live %.2f, simulated %.2f); fixed limits: %d, after %.2f s\n",
			t.Found, n, t.MedianSeconds, t.MedianReal, t.MedianSimulated, t.FoundByFixed, t.MedianOfFixed)
		fmt.Fprintf(w, "honest calls beside them: %d, flagged %d\n", t.HonestCall, t.HonestFlag)
	}
	if t.Captures > 0 {
		fmt.Fprintf(w, "captures of ordinary traffic: %d, flags %d\n", t.Captures, t.CaptureFlags)
	}
	if t.Calls > 0 {
		fmt.Fprintf(w, "ordinary calls: %d, flags %d, per 100,000 calls %.3f (95 %%: %.3f to %.3f), an hour %.3f (95 %%: %.3f to %.3f), refused %d\n",
			t.Calls, t.Flags, t.Per100000.Per, t.Per100000.Low, t.Per100000.High, t.PerHour.Per, t.PerHour.Low, t.PerHour.High, t.Refused)
		fmt.Fprintf(w, "cold, before a baseline was ready: %d calls, flags %d; fixed limits: %d alarms\n", t.ColdCalls, t.ColdFlags, t.FixedAlarms)
	}
}
