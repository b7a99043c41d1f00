package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"fivetuple/runner/printable"
)

func printSourcesJSON(w io.Writer, lines []sourceLine) error {
	out := printable.NewEncoder(w)
	for i := range lines {
		if err := out.Encode(&lines[i]); err != nil {
			return err
		}
	}
	return nil
}

// printSources prints a table; of a fleet, with who says so besides this host, and what becomes of it.
func printSources(w io.Writer, lines []sourceLine, ofFleet bool) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	title, row := "KIND\tADDRESS\tSCORE\tSIGNALS\tORIGIN\tSINCE\tEXPIRES", "%s\t%s\t%.3f\t%s\t%s\t%s\t%s"
	if ofFleet {
		title += "\tEFFECT\tBY"
	}
	fmt.Fprintln(out, title)
	for _, l := range lines {
		signals := l.Signals
		if l.Pardon {
			signals = "(pardoned)"
		}
		fmt.Fprintf(out, row, l.Kind, l.Address, l.Score, cmp.Or(signals, "-"), l.Origin,
			l.Since.Format(time.DateTime), l.Expires.Format(time.DateTime))
		if ofFleet {
			fmt.Fprintf(out, "\t%s\t%s", cmp.Or(string(l.Effect), "-"), cmp.Or(names(l.Gateways), "-"))
		}
		fmt.Fprintln(out)
	}
	return out.Flush()
}

// names returns the first of some names, and how many more there are.
func names(all []string) string {
	const shown = 4
	text := strings.Join(all[:min(len(all), shown)], ",")
	if len(all) > shown {
		text += fmt.Sprintf(" +%d", len(all)-shown)
	}
	return text
}
