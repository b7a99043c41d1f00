package main

import (
	"fmt"
	"io"

	"fivetuple/runner/calls"
	"fivetuple/runner/printable"
)

// callTable prints calls for people. Columns have fixed widths, so that a followed log lines up, too.
type callTable struct {
	out    io.Writer
	titled bool
}

const (
	callColumns = "%-27s %-20s %-7s %-24s %9s %9s %9s %9s %9s %9s %9s %10s %10s %9s\n"
	// routeWidth and matchWidth are where those two are cut.
	routeWidth, matchWidth = 20, 24
)

func (t *callTable) print(l *calls.Line) error {
	if !t.titled {
		t.titled = true
		if _, err := fmt.Fprintf(t.out, callColumns, "TIME", "ROUTE", "METHOD", "MATCH", "TOTAL ms", "NETWORK", "ARRIVING", "WAITING",
			"SERVING", "LEAVING", "RTT", "REQUEST B", "RESPONSE B", "RETRANS"); err != nil {
			return err
		}
	}
	match := l.Match
	if l.Reason != "" {
		match += ";" + l.Reason
	}
	if l.Cut {
		match += ";cut"
	}
	if l.Flagged {
		match += ";flagged"
	}
	none := l.Match == "none"
	_, err := fmt.Fprintf(t.out, callColumns, shown(l.Time, 27), shown(l.Route, routeWidth), shown(l.Method, 7), shown(match, matchWidth),
		ms(l.TotalUS, l.TotalUS == 0), ms(l.NetworkUS, l.TotalUS == 0), ms(l.ArrivingUS, l.TotalUS == 0), ms(l.WaitingUS, l.TotalUS == 0),
		ms(l.ServingUS, l.TotalUS == 0), ms(l.LeavingUS, l.TotalUS == 0), ms(float64(l.RTTUS), l.RTTUS == 0),
		count(l.RequestBytes, none), count(l.ResponseBytes, none),
		count(l.RequestRetransmitted, none)+"/"+count(l.ResponseRetransmitted, none))
	return err
}

// ms returns microseconds as milliseconds.
func ms(us float64, unknown bool) string {
	if unknown {
		return "-"
	}
	return fmt.Sprintf("%.3f", us/1000)
}

func count(n uint64, unknown bool) string {
	if unknown {
		return "-"
	}
	return fmt.Sprint(n)
}

// shown returns a text as a terminal may have it: cut to a width, nothing but what can be seen.
func shown(s string, width int) string {
	s = printable.String(s)
	if runes := []rune(s); len(runes) > width {
		return string(runes[:width-1]) + "~"
	}
	return s
}
