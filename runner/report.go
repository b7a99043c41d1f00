package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"fivetuple/conf"
	"fivetuple/runner/printable"
	"fivetuple/runner/report"
	"fivetuple/runner/share"
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
			"bytes, what was sent again, and what was flagged. With Redis (the setting redis.addresses) it is of all gateways of the\n" +
			"fleet, as they have told within a minute; without it of this host's runner, which keeps the figures in memory since it was\n" +
			"started and serves them where its metrics are (the setting metrics.listen).",
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

// collectReport makes a report of all gateways of the fleet, or, without one, of the runner of this host. With share.ErrLeftOut the
// report is of all that could be read.
func collectReport(ctx context.Context, c conf.Config, q report.Query) (r report.Report, err error) {
	switch {
	case len(c.Redis.Addresses) > 0:
		l, err := lookAtFleet(ctx, c)
		if err != nil {
			return r, err
		}
		r, err = report.Collect(ctx, q, l.Now(), l)
		if err != nil {
			return r, errors.Join(err, l.Close())
		}
		return r, errors.Join(l.LeftOut(), l.Close())
	case c.Metrics.Listen == "":
		return r, errNoFigures
	}
	return report.Fetch(ctx, c.Metrics.Listen, q)
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
	asked := report.Query{Since: q.since}
	if q.oneRoute {
		asked.Route = &q.route
	}
	r, err := collectReport(ctx, c, asked)
	if err != nil && !errors.Is(err, share.ErrLeftOut) {
		return err
	}
	if q.format == "json" {
		return errors.Join(printable.NewEncoder(out).Encode(r), err)
	}
	return errors.Join(printReport(out, &r, asked), err)
}
