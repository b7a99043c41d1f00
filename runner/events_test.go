package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"fivetuple/conf"
	"fivetuple/correlator"
	"fivetuple/correlator/baseline"
	"fivetuple/correlator/fleet"
	"fivetuple/correlator/signal"
)

// entry is one of a stream.
type entry struct {
	gateway, id string
	value       []byte
}

// entries are what a source has, and what was asked of it.
type entries struct {
	all    []entry
	err    error
	since  time.Duration
	follow bool
	closed int
}

func (e *entries) Events(_ context.Context, since time.Duration, gateway string, follow bool, take func(gateway, id string, value []byte) error) error {
	e.since, e.follow = since, follow
	for _, one := range e.all {
		if gateway == "" || gateway == one.gateway {
			if err := take(one.gateway, one.id, one.value); err != nil {
				return err
			}
		}
	}
	return e.err
}

func (e *entries) Close() error {
	e.closed++
	return nil
}

func entryOf(gateway, id string, e fleet.Event) entry {
	value, err := e.Encode()
	if err != nil {
		panic(err)
	}
	return entry{gateway, id, value}
}

func someEntries() []entry {
	return []entry{
		entryOf("gw-1", "1764000000123-0", fleet.Event{
			Kind: fleet.KindCall, Route: "orders", Method: "POST", Score: 0.95, Signals: "retransmit port-scan",
			Address: netip.MustParseAddr("2001:db8::1"), RequestID: "f00d", Connection: 17, Requests: 3,
		}),
		entryOf("gw-2", "1764000000124-7", fleet.Event{Kind: fleet.KindSource, Score: 1, Address: netip.MustParseAddr("203.0.113.7")}),
		entryOf("gw-1", "1764000001000-0", fleet.Event{Kind: fleet.KindBaselineShift, Route: "\x1b[31mred", Method: "GET"}),
		entryOf("gw-1", "1764000002000-0", fleet.Event{Kind: fleet.KindStrangers, Peer: "gw-7"}),
	}
}

const eventsTable = `TIME                     GATEWAY          KIND           ROUTE                METHOD  SCORE SIGNALS                        ABOUT                                   REQUEST ID                       CONNECTION
2025-11-24T16:00:00.123Z gw-1             call           orders               POST    0.950 retransmit port-scan           2001:db8::1                             f00d                             17/3
2025-11-24T16:00:00.124Z gw-2             source         -                    -       1.000 -                              203.0.113.7                             -                                -
2025-11-24T16:00:01.000Z gw-1             baseline-shift \u001b[31mred        GET         - -                              -                                       -                                -
2025-11-24T16:00:02.000Z gw-1             strangers      -                    -           - -                              gw-7                                    -                                -
`

// eventsCommand runs `fivetuple events`.
func eventsCommand(t *testing.T, source *entries, args ...string) (out, aside string, err error) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := new(app).newEventsCommand(func(context.Context, conf.Config) (eventSource, error) { return source, nil })
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(args)
	cmd.SetOut(&stdout)
	cmd.SetErr(&stderr)
	err = cmd.ExecuteContext(t.Context())
	return stdout.String(), stderr.String(), err
}

func TestEventsCommand(t *testing.T) {
	rows := strings.SplitAfter(eventsTable, "\n")
	const source = `{"time":"2025-11-24T16:00:00.124Z","id":"1764000000124-7","gateway":"gw-2","kind":"source","score":1,"address":"203.0.113.7"}` + "\n"
	const call = `{"time":"2025-11-24T16:00:00.123Z","id":"1764000000123-0","gateway":"gw-1","kind":"call","route":"orders","method":"POST","score":0.95,` +
		`"signals":"retransmit port-scan","address":"2001:db8::1","request_id":"f00d","connection":17,"connection_requests":3}` + "\n"
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, eventsTable},
		{[]string{"--gateway", "gw-2"}, rows[0] + rows[2]},
		{[]string{"--route", "orders"}, rows[0] + rows[1]},
		{[]string{"--route", "none"}, ""},
		{[]string{"--gateway", "gw-2", "--json"}, source},
		{[]string{"--route", "orders", "--json", "--follow", "--since", "0s"}, call},
	} {
		s := &entries{all: someEntries()}
		out, aside, err := eventsCommand(t, s, c.args...)
		if d := cmp.Diff(c.want, out); err != nil || aside != "" || d != "" || s.closed != 1 {
			t.Errorf("%v: %v %s\n(-want +got):\n%s", c.args, err, aside, d)
		}
		if follow := strings.Contains(fmt.Sprint(c.args), "--follow"); s.follow != follow || s.since != map[bool]time.Duration{true: 0, false: time.Hour}[follow] {
			t.Errorf("%v: %+v", c.args, s)
		}
	}
}

// TestEventsThatCannotBeRead: they are named, the others are printed, and the command fails.
func TestEventsThatCannotBeRead(t *testing.T) {
	s := &entries{all: append(someEntries()[:1],
		entry{"gw-1", "x", []byte(`{"v":1,"kind":"call"}`)},
		entry{"gw-1", "9007199254740993-0", []byte(`{"v":1,"kind":"call"}`)},
		entry{"gw-1", "5-0", []byte(`{"v":2}`)},
		entry{"gw-1", "5-1", []byte(`{"v":1,"kind":"\x1b[31m"}`)})}
	out, aside, err := eventsCommand(t, s, "--json")
	if strings.Count(out, "\n") != 1 || strings.Count(aside, "\n") != 4 || !errors.Is(err, errEventsSkipped) || !strings.HasSuffix(err.Error(), ": 4") {
		t.Errorf("%v\n%s%s", err, out, aside)
	}
	if strings.Contains(aside, "\x1b") {
		t.Errorf("what cannot be shown is shown: %q", aside)
	}
	s = &entries{all: someEntries(), err: errors.New("unreachable")}
	if out, _, err := eventsCommand(t, s); !errors.Is(err, s.err) || out != eventsTable {
		t.Errorf("%v\n%s", err, out)
	}
	for _, args := range [][]string{{"--since", "-1s"}, {"--since", "25h"}, {"--gateway", "a*"}, {"more"}} {
		if out, _, err := eventsCommand(t, s, args...); err == nil || out != "" {
			t.Errorf("%v: %v %s", args, err, out)
		}
	}
}

// TestMakingEvents: addresses are in them only where verdicts are shared.
func TestMakingEvents(t *testing.T) {
	r := &correlator.CallRecord{Judged: true, Flagged: true}
	r.Route, r.Method, r.RequestID, r.Connection, r.Requests = correlator.Route{Route: "orders"}, "POST", correlator.NewText("f00d"), 17, 3
	r.Peer = netip.MustParseAddrPort("[::ffff:192.0.2.77]:5000")
	r.Facts.Add(signal.Retransmit, 0.9)
	f := &fleet.Flag{Address: netip.MustParseAddr("192.0.2.78"), Score: 0.7, Signals: "port-scan", Origin: "watcher"}
	for _, shares := range []bool{false, true} {
		want := fleet.Event{
			Kind: fleet.KindCall, Route: "orders", Method: "POST", Score: 0.9, Signals: "retransmit",
			RequestID: "f00d", Connection: 17, Requests: 3,
		}
		source := fleet.Event{Kind: fleet.KindSource, Score: 0.7, Signals: "port-scan"}
		if shares {
			want.Address, source.Address = netip.MustParseAddr("192.0.2.77"), f.Address
		}
		got := eventOfCall(r, shares)
		if got.Score > 0.8999 && got.Score < 0.9001 {
			got.Score = 0.9
		}
		if got != want {
			t.Errorf("%+v", got)
		}
		if got := eventOfSource(f, shares); got != source {
			t.Errorf("%+v", got)
		}
	}
	shift := baseline.Shift{Key: baseline.Key{Route: "orders", Method: "GET"}}
	if got := eventOfShift(&shift); got != (fleet.Event{Kind: fleet.KindBaselineShift, Route: "orders", Method: "GET"}) {
		t.Errorf("%+v", got)
	}
}
