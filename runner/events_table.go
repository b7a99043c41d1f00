package main

import (
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"fivetuple/correlator/fleet"
	"fivetuple/runner/printable"
)

// eventLine is an event as `events --json` prints it.
type eventLine struct {
	Time       time.Time  `json:"time"` // Redis' clock
	ID         string     `json:"id"`
	Gateway    string     `json:"gateway"`
	Kind       fleet.Kind `json:"kind"`
	Route      string     `json:"route,omitempty"`
	Method     string     `json:"method,omitempty"`
	Score      float64    `json:"score,omitempty"`
	Signals    string     `json:"signals,omitempty"`
	Address    string     `json:"address,omitempty"`
	Peer       string     `json:"peer,omitempty"`
	RequestID  string     `json:"request_id,omitempty"`
	Connection uint64     `json:"connection,omitempty"`
	Requests   uint64     `json:"connection_requests,omitempty"`
}

// newEventLine reads an entry of a gateway's stream.
func newEventLine(gateway, id string, value []byte) (*eventLine, error) {
	at, err := eventTime(id)
	if err != nil {
		return nil, fmt.Errorf("event of %q: %w: %q is no id", gateway, fleet.ErrDamaged, id)
	}
	e, err := fleet.DecodeEvent(value)
	if err != nil {
		return nil, fmt.Errorf("event %s of %q: %w", id, gateway, err)
	}
	l := &eventLine{
		Time: at, ID: id, Gateway: gateway, Kind: e.Kind, Route: e.Route, Method: e.Method, Score: e.Score, Signals: e.Signals,
		Peer: e.Peer, RequestID: e.RequestID, Connection: e.Connection, Requests: e.Requests,
	}
	if e.Address.IsValid() {
		l.Address = e.Address.String()
	}
	return l, nil
}

// eventTime returns the time in an entry's id, MILLISECONDS-NUMBER.
func eventTime(id string) (time.Time, error) {
	ms, number, _ := strings.Cut(id, "-")
	at, err := strconv.ParseUint(ms, 10, 53)
	if err == nil {
		_, err = strconv.ParseUint(number, 10, 64)
	}
	return time.UnixMilli(int64(at)).UTC(), err //nolint:gosec // 53 bits
}

// eventPrinter prints events, as a table whose columns have fixed widths, so that what is followed lines up, too.
type eventPrinter struct {
	out    io.Writer
	asJSON bool
	titled bool
}

const eventColumns = "%-24s %-16s %-14s %-20s %-7s %5s %-30s %-39s %-32s %s\n"

func (p *eventPrinter) print(l *eventLine) error {
	if p.asJSON {
		return printable.NewEncoder(p.out).Encode(l)
	}
	if !p.titled {
		p.titled = true
		if _, err := fmt.Fprintf(p.out, eventColumns, "TIME", "GATEWAY", "KIND", "ROUTE", "METHOD", "SCORE", "SIGNALS", "ABOUT", "REQUEST ID",
			"CONNECTION"); err != nil {
			return err
		}
	}
	score, connection := "-", "-"
	if l.Score != 0 {
		score = fmt.Sprintf("%.3f", l.Score)
	}
	if l.Connection != 0 {
		connection = fmt.Sprintf("%d/%d", l.Connection, l.Requests)
	}
	cell := func(text string, width int) string { return cmp.Or(shown(text, width), "-") }
	about := l.Address
	if l.Peer != "" {
		about = l.Peer
	}
	_, err := fmt.Fprintf(p.out, eventColumns, l.Time.Format("2006-01-02T15:04:05.000Z"), cell(l.Gateway, 16), l.Kind, cell(l.Route, 20),
		cell(l.Method, 7), score, cell(l.Signals, 30), cell(about, 39), cell(l.RequestID, 32), connection)
	return err
}
