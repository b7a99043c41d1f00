package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"fivetuple/examples/evaluate/outcome"
	"fivetuple/examples/lab"
)

// part is something to play.
type part struct {
	name string
	play func(ctx context.Context, to *outcome.Report) error
}

// errNothing means that nothing has a name like that.
var errNothing = errors.New("nothing to play")

// play plays what was asked for, one after the other: what runs at the same time would share the time that it measures.
func play(ctx context.Context, o *options, all []part, log io.Writer) (*outcome.Report, error) {
	if missing := lab.Missing(); len(missing) > 0 {
		return nil, fmt.Errorf("cannot run here:\n  %s", strings.Join(missing, "\n  "))
	}
	report := &outcome.Report{Attacks: []outcome.Attack{}, Benign: []outcome.Benign{}, Learning: []outcome.Learning{}}
	played := 0
	for _, p := range all {
		if !o.only.MatchString(p.name) {
			continue
		}
		played++
		begin := time.Now()
		if err := p.play(ctx, report); err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		fmt.Fprintf(log, "%-60s %5.1f s\n", p.name, time.Since(begin).Seconds())
	}
	if played == 0 {
		return nil, fmt.Errorf("%w: --only=%v; see --list", errNothing, o.only)
	}
	report.Sum()
	report.Check(played == len(all))
	return report, nil
}

// writeJSON writes the report to a file, if one is wanted.
func writeJSON(path string, report *outcome.Report) error {
	if path == "" {
		return nil
	}
	text, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return fmt.Errorf("write figures: %w", err)
	}
	return os.WriteFile(path, append(text, '\n'), 0o644) //nolint:gosec // figures are for everybody
}
