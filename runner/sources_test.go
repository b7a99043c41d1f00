package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fivetuple/conf"
	"fivetuple/correlator/fleet"
	"fivetuple/correlator/flow"
	"fivetuple/correlator/signal"
)

// sourcesCommand runs `fivetuple sources list` over a host's table and a fleet.
func (h *hostTable) sourcesCommand(open func(context.Context, conf.Config) (*fleetView, error), args ...string) (string, error) {
	h.t.Helper()
	config := filepath.Join(h.t.TempDir(), "fivetuple.yaml")
	must(h.t, os.WriteFile(config, []byte("agent: {pins: {path: "+h.pins+"}}"), 0o600))
	a := &app{configFile: config, openFleet: open}
	cmd := a.newSourcesCommand()
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(h.t.Context())
	return out.String(), err
}

func parseSourceLines(t *testing.T, text string) map[string]sourceLine {
	t.Helper()
	lines := map[string]sourceLine{}
	for in := json.NewDecoder(strings.NewReader(text)); in.More(); {
		var l sourceLine
		must(t, in.Decode(&l))
		lines[l.Address+" "+l.Origin] = l
	}
	return lines
}

// TestSourcesOfTheFleet: the list has the others' flags, with who says so and what becomes of it; a list that is damaged is
// told, and the rest printed.
func TestSourcesOfTheFleet(t *testing.T) {
	h := newHostTable(t)
	h.put("192.0.2.1", flow.Verdict{Score: 700, Signals: uint32(signal.Of(signal.PortScan))})
	h.put("192.0.2.2", flow.Verdict{Origin: flow.OriginManual})
	h.put("192.0.2.3", flow.Verdict{Score: 950, Signals: uint32(signal.Of(signal.HalfOpen))})
	lists := map[string][]byte{
		"a":    h.flagsOf("a", 900, "192.0.2.1", "192.0.2.2", "192.0.2.3", "203.0.113.7", "192.0.2.44"),
		"b":    h.flagsOf("b", 800, "192.0.2.1", "192.0.2.2", "192.0.2.3", "203.0.113.7", "203.0.113.8"),
		"here": h.flagsOf("here", 900, "203.0.113.9"), // what this host has said is not the fleet's word
		"evil": []byte(`{"v":1}`),
		"new":  []byte(`{"v":7}`),
	}
	closed := 0
	open := func(context.Context, conf.Config) (*fleetView, error) {
		return &fleetView{
			options: fleet.Options{Gateway: "here", SharedVerdicts: fleet.VerdictsEnforce, Quorum: 2, Trusted: []string{"192.0.2.44"}},
			moment:  h.moment, close: func() error { closed++; return nil },
			flags: func(_ context.Context, hear func(string, []byte)) error {
				for gateway, value := range lists {
					hear(gateway, value)
				}
				return nil
			},
		}, nil
	}
	out, err := h.sourcesCommand(open, "--json")
	if !errors.Is(err, fleet.ErrDamaged) && !errors.Is(err, fleet.ErrVersion) || !strings.Contains(err.Error(), "lists of 2 gateways are passed over") {
		t.Errorf("%v", err)
	}
	lines := parseSourceLines(t, out)
	for address, want := range map[string]struct {
		score  float64
		by     string
		effect fleet.Effect
	}{
		"192.0.2.1 watcher": {0.7, "", ""}, "192.0.2.1 fleet": {0.8, "a b", fleet.EffectEnforced}, "192.0.2.2 manual": {0, "a b", fleet.EffectPardoned},
		"192.0.2.3 watcher": {0.95, "a b", fleet.EffectLocal}, "203.0.113.7 fleet": {0.8, "a b", fleet.EffectEnforced},
		"203.0.113.8 fleet": {0.8, "b", fleet.EffectTooFew}, "192.0.2.44 fleet": {0.9, "a", fleet.EffectExempt},
	} {
		l, ok := lines[address]
		if !ok || l.Score != want.score || strings.Join(l.Gateways, " ") != want.by || l.Effect != want.effect || l.Kind != "source" ||
			l.Expires.Sub(l.Since).Minutes() < 9 {
			t.Errorf("%s: %+v", address, l)
		}
		delete(lines, address)
	}
	if len(lines) != 0 {
		t.Errorf("also: %+v", lines)
	}
	out, _ = h.sourcesCommand(open)
	head, rows, _ := strings.Cut(out, "\n")
	if !strings.HasSuffix(head, "EFFECT    BY") || strings.Count(rows, "\n") != 7 || !strings.Contains(rows, "too-few   b\n") {
		t.Errorf("\n%s", out)
	}
	if closed != 2 {
		t.Errorf("closed %d connections, want that of each command", closed)
	}
}

// TestSourcesWithoutAFleet: the list is this host's, also where the fleet can't be reached, which is told.
func TestSourcesWithoutAFleet(t *testing.T) {
	h := newHostTable(t)
	h.put("192.0.2.1", flow.Verdict{Score: 700, Signals: uint32(signal.Of(signal.PortScan))})
	unreachable := errors.New("unreachable")
	for _, c := range []struct {
		open func(context.Context, conf.Config) (*fleetView, error)
		want error
	}{
		{nil, nil},
		{func(context.Context, conf.Config) (*fleetView, error) { return nil, nil }, nil}, //nolint:nilnil // not shared
		{func(context.Context, conf.Config) (*fleetView, error) { return nil, unreachable }, unreachable},
		{func(context.Context, conf.Config) (*fleetView, error) {
			return &fleetView{
				options: fleet.Options{Gateway: "here", SharedVerdicts: fleet.VerdictsObserve, Quorum: 2}, moment: h.moment, close: func() error { return nil },
				flags: func(context.Context, func(string, []byte)) error { return unreachable },
			}, nil
		}, unreachable},
	} {
		out, err := h.sourcesCommand(c.open, "--json")
		if !errors.Is(err, c.want) || strings.Count(out, "\n") != 1 || strings.Contains(out, "gateways") || strings.Contains(out, "effect") {
			t.Errorf("%v: %s", err, out)
		}
		table, err := h.sourcesCommand(c.open)
		if !errors.Is(err, c.want) || !strings.HasPrefix(table, "KIND    ADDRESS    SCORE  SIGNALS    ORIGIN   SINCE") || strings.Count(table, "\n") != 2 {
			t.Errorf("%v: %s", err, table)
		}
	}
}

func TestNames(t *testing.T) {
	if got := names([]string{"a", "b", "c", "d", "e", "f"}); got != "a,b,c,d +2" {
		t.Error(got)
	}
}
