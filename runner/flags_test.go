package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"fivetuple/conf"
	"fivetuple/correlator"
	"fivetuple/correlator/signal"
)

// flaggedCall is one whose score is above what its route allows.
func flaggedCall(out *output) *correlator.CallRecord {
	r := finishedCall(out)
	r.Match, r.Reason, r.Method = correlator.MatchExchange, "", "POST"
	r.Connection, r.Requests, r.RequestID = 17, 3, correlator.NewText("f00d")
	r.Judged, r.Flagged = true, true
	r.Facts.Add(signal.Retransmit, 0.9)
	return r
}

// TestFlagsAreLogged: a line for each flagged call, without an address; of many at once some, and the others are counted.
func TestFlagsAreLogged(t *testing.T) {
	said := new(bytes.Buffer)
	f := newFlags(func(*correlator.CallRecord) {}, zerolog.New(said))
	out, _ := outputOf(t, conf.Config{Calls: conf.Calls{Queue: 64}})
	defer out.close(zerolog.Nop())
	const flags = 1000
	for range flags {
		f.Take(flaggedCall(out))
	}
	lines := strings.Split(strings.TrimSpace(said.String()), "\n")
	if n := uint64(len(lines)); n < flagLines || n+f.dropped.Load() != flags {
		t.Errorf("%d lines, %d not written", n, f.dropped.Load())
	}
	var line map[string]any
	if err := json.Unmarshal([]byte(lines[0]), &line); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"level": "info", "message": "call flagged", "route": "orders", "method": "POST", "score": 0.9, "signals": "retransmit", "match": "exchange",
		"request_id": "f00d", "connection": 17.0, "connection_requests": 3.0,
	} {
		if line[name] != want {
			t.Errorf("%s is %v, want %v", name, line[name], want)
		}
	}
	if len(line) != 10 || strings.Contains(said.String(), "192.0.2") || strings.Contains(said.String(), "198.51.100") {
		t.Errorf("it says too much: %s", lines[0])
	}
}

// TestFlagsWithoutAnythingElse: neither the log of calls nor the metrics need be on, and who is not flagged has no line.
func TestFlagsWithoutAnythingElse(t *testing.T) {
	c := conf.Default()
	c.Calls.File, c.Metrics.Listen = "", ""
	out, said := outputOf(t, c)
	sink := out.sink()
	sink(finishedCall(out))
	sink(flaggedCall(out))
	out.close(zerolog.Nop())
	if text := said.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, `"part":"flags"`) {
		t.Errorf("said: %s", text)
	}
}
