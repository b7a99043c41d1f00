package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"fivetuple/correlator/signal"
	"fivetuple/runner/report"
)

// reportWidth is where names are cut.
const reportWidth = 40

// printReport prints a report for people: three tables, of times, of traffic and flags, and of gateways.
func printReport(w io.Writer, r *report.Report, q report.Query) error {
	if len(r.Routes) == 0 {
		what := "no call"
		if q.Route != nil {
			what = "no call of the route " + shown(*q.Route, reportWidth)
		}
		_, err := fmt.Fprintf(w, "%s has ended from %s to %s\n", what, moment(r.From), moment(r.To))
		return err
	}
	fmt.Fprintf(w, "Calls that ended from %s to %s.\n", moment(r.From), moment(r.To))
	fmt.Fprintf(w, "Times are p50/p90/p99 in ms, within %v %% of the time at that rank, of calls that are exact (had exchanges of their own) and whole.\n\n",
		r.Accuracy*100)
	if err := printTimes(w, r.Routes); err != nil {
		return err
	}
	fmt.Fprintln(w)
	if err := printTraffic(w, r.Routes); err != nil {
		return err
	}
	fmt.Fprintln(w)
	if err := printGateways(w, r.Gateways); err != nil {
		return err
	}
	if slices.ContainsFunc(r.Gateways, func(g report.Gateway) bool { return g.FoldedCalls > 0 }) {
		fmt.Fprintf(w, "\nFolded: calls of routes that are under %s, because the gateways have more routes than the %d that a report tells apart;\n"+
			"they are named by the gateways in turn, by each its busiest ones.\n", report.Other, report.MaxRoutes)
	}
	if s := r.Skipped; s.Version+s.Damaged > 0 {
		_, err := fmt.Fprintf(w, "\nLeft out: %d values of another version, %d damaged ones.\n", s.Version, s.Damaged)
		return err
	}
	return nil
}

func printTimes(w io.Writer, routes []report.Route) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "ROUTE\tCALLS\tEXACT\tTOTAL ms\tNETWORK\tWAIT\tUPSTREAM\tRESPONSE")
	for _, r := range routes {
		fmt.Fprintf(out, "%s\t%d\t%.1f%%\t%s\t%s\t%s\t%s\t%s\n", shown(r.Route, reportWidth), r.Calls, r.ExactShare*100,
			quantiles(r.Total), quantiles(r.Network), quantiles(r.Wait), quantiles(r.Upstream), quantiles(r.Response))
	}
	return out.Flush()
}

func printTraffic(w io.Writer, routes []report.Route) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "ROUTE\tIN B\tOUT B\tRETRANS IN\tRETRANS OUT\tFLAGGED\tSIGNALS")
	for _, r := range routes {
		fmt.Fprintf(out, "%s\t%d\t%d\t%s\t%s\t%d\t%s\n", shown(r.Route, reportWidth), r.Request.Bytes, r.Answer.Bytes,
			ratio(r.Request.Ratio), ratio(r.Answer.Ratio), r.Flagged, bySignal(&r.Flags))
	}
	return out.Flush()
}

func printGateways(w io.Writer, gateways []report.Gateway) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "GATEWAY\tCALLS\tFLAGGED\tLAST SEEN\tCLOCK\tFOLDED")
	for _, g := range gateways {
		clock := "-"
		if g.ClockOffset != nil {
			clock = fmt.Sprintf("%+d ms", *g.ClockOffset)
		}
		folded := "-"
		if g.FoldedCalls > 0 {
			folded = fmt.Sprintf("%d of %d routes", g.FoldedCalls, g.FoldedRoutes)
		}
		fmt.Fprintf(out, "%s\t%d\t%d\t%s\t%s\t%s\n", shown(g.Gateway, reportWidth), g.Calls, g.Flagged, moment(g.LastSeen), clock, folded)
	}
	return out.Flush()
}

func moment(t time.Time) string { return t.UTC().Format(time.DateTime) + "Z" }

func quantiles(q *report.Quantiles) string {
	if q == nil {
		return "-"
	}
	return fmt.Sprintf("%.3f/%.3f/%.3f", q.P50, q.P90, q.P99)
}

func ratio(r *float64) string {
	if r == nil {
		return "-"
	}
	return fmt.Sprintf("%.2f%%", *r*100)
}

// bySignal returns the numbers of flagged calls by signal, in the signals' order.
func bySignal(flags *report.Flags) string {
	var text []string
	for s, n := range flags {
		if n > 0 {
			text = append(text, fmt.Sprintf("%s %d", signal.Signal(s), n))
		}
	}
	if text == nil {
		return "-"
	}
	return strings.Join(text, ", ")
}
