package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"fivetuple/bpf"
	"fivetuple/correlator/flow"
	"fivetuple/correlator/watch"
)

// sourceLine is a verdict as `sources --json` prints it.
type sourceLine struct {
	Kind    string    `json:"kind"` // source, listener, host
	Address string    `json:"address"`
	Score   float64   `json:"score"`
	Signals string    `json:"signals"`
	Origin  string    `json:"origin"` // watcher, manual, fleet
	Since   time.Time `json:"since"`
	Expires time.Time `json:"expires"`
	Pardon  bool      `json:"pardon,omitempty"` // the watcher holds nothing against it meanwhile
}

func (a *app) listSources(cmd *cobra.Command, asJSON bool) error {
	c, err := a.load()
	if err != nil {
		return err
	}
	lines, err := readVerdicts(c.Agent.Pins.Path)
	if err != nil {
		return err
	}
	if asJSON {
		return printSourcesJSON(cmd.OutOrStdout(), lines)
	}
	return printSources(cmd.OutOrStdout(), lines)
}

// readVerdicts returns what is in force, the highest score first.
func readVerdicts(pins string) ([]sourceLine, error) {
	clock, err := bpf.NewClock()
	if err != nil {
		return nil, err
	}
	table, err := bpf.OpenVerdicts(pins, false)
	if err != nil {
		return nil, err
	}
	now, wall := clock.Now(), time.Now()
	at := func(ns uint64) time.Time { return wall.Add(time.Duration(ns - now)).Truncate(time.Millisecond) } //nolint:gosec // may be before
	var lines []sourceLine
	err = table.Each(func(k flow.VerdictKey, v *flow.Verdict) error {
		if v.Expires <= now {
			return nil
		}
		said := watch.Said(v)
		lines = append(lines, sourceLine{
			Kind: kindOf(k), Address: addressOf(k), Score: said.Score, Signals: said.Signals.String(), Origin: originOf(v.Origin),
			Since: at(v.Since), Expires: at(v.Expires), Pardon: v.Score == 0,
		})
		return nil
	})
	slices.SortFunc(lines, func(a, b sourceLine) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Address, b.Address))
	})
	return lines, errors.Join(err, table.Close())
}

func originOf(origin uint8) string {
	names := [...]string{flow.OriginWatcher: "watcher", flow.OriginManual: "manual", flow.OriginFleet: "fleet"}
	if int(origin) < len(names) {
		return names[origin]
	}
	return "unknown"
}

func printSourcesJSON(w io.Writer, lines []sourceLine) error {
	out := json.NewEncoder(w)
	for i := range lines {
		if err := out.Encode(&lines[i]); err != nil {
			return err
		}
	}
	return nil
}

func printSources(w io.Writer, lines []sourceLine) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "KIND\tADDRESS\tSCORE\tSIGNALS\tORIGIN\tSINCE\tEXPIRES")
	for _, l := range lines {
		signals := l.Signals
		if l.Pardon {
			signals = "(pardoned)"
		}
		fmt.Fprintf(out, "%s\t%s\t%.3f\t%s\t%s\t%s\t%s\n", l.Kind, l.Address, l.Score, cmp.Or(signals, "-"), l.Origin,
			l.Since.Format(time.DateTime), l.Expires.Format(time.DateTime))
	}
	return out.Flush()
}
