package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"fivetuple/runner/report"
)

var (
	// errNoFigures means that no runner of these settings can be asked.
	errNoFigures = errors.New("the setting metrics.listen is empty: the runner keeps no figures, and serves none")
	errFormat    = errors.New("--format is neither table nor json")
)

// reportQuery is what `fivetuple report` was asked for.
type reportQuery struct {
	since         time.Duration
	route, format string
	oneRoute      bool
}

func (a *app) newReportCommand() *cobra.Command {
	var q reportQuery
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Print what became of the calls of each route",
		Long: "Print what became of the calls of each route that ended in the last hour, or in up to 24 (--since): how many, their times,\n" +
			"bytes, what was sent again, and what was flagged. The runner keeps these figures in memory since it was started, and serves\n" +
			"them where its metrics are (the setting metrics.listen).",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q.oneRoute = cmd.Flags().Changed("route")
			return a.report(cmd.Context(), cmd.OutOrStdout(), q)
		},
	}
	cmd.Flags().DurationVar(&q.since, "since", report.DefaultSince, "how far to go back, 1m to 24h")
	cmd.Flags().StringVar(&q.route, "route", "", "only calls of the route with this id; global: of global rules")
	cmd.Flags().StringVar(&q.format, "format", "table", "table: for people; json: all there is")
	return cmd
}

func (a *app) report(ctx context.Context, out io.Writer, q reportQuery) error {
	if q.format != "table" && q.format != "json" {
		return fmt.Errorf("%w: %q", errFormat, q.format)
	}
	if err := report.CheckSince(q.since); err != nil {
		return fmt.Errorf("--since: %w", err)
	}
	c, err := a.load()
	if err != nil {
		return err
	}
	if c.Metrics.Listen == "" {
		return errNoFigures
	}
	asked := report.Query{Since: q.since}
	if q.oneRoute {
		asked.Route = &q.route
	}
	r, err := report.Fetch(ctx, c.Metrics.Listen, asked)
	if err != nil {
		return err
	}
	if q.format == "json" {
		return json.NewEncoder(out).Encode(r)
	}
	return printReport(out, &r, asked)
}
