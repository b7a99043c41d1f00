package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"fivetuple/bpf"
	"fivetuple/correlator/flow"
	"fivetuple/runner/metrics"
)

func TestReadinessOf(t *testing.T) {
	meta := func(all, loopback uint32) flow.Meta { return flow.Meta{Layout: 1, Interfaces: all, Loopback: loopback} }
	for name, c := range map[string]struct {
		state      bpf.ReaderState
		interfaces string
		reason     string
		tables     bool
	}{
		"records":                     {bpf.ReaderState{Meta: meta(2, 1)}, "*", "", true},
		"without a loopback":          {bpf.ReaderState{Meta: meta(1, 0)}, "eth*", "", true},
		"no tables":                   {bpf.ReaderState{Err: fmt.Errorf("%w: stat", flow.ErrNoTable)}, "*", "pins", false},
		"another layout":              {bpf.ReaderState{Err: flow.ErrLayout}, "*", "layout", false},
		"a dead agent":                {bpf.ReaderState{Err: flow.ErrStale, Meta: meta(2, 1)}, "*", "stale", true},
		"a dead, blind agent":         {bpf.ReaderState{Err: flow.ErrStale, Meta: meta(0, 0)}, "*", "stale", true},
		"anything else":               {bpf.ReaderState{Err: errors.New("no memory")}, "*", "table", false},
		"blind":                       {bpf.ReaderState{Meta: meta(1, 1)}, "*", "blind", true},
		"no interface":                {bpf.ReaderState{Meta: meta(0, 0)}, "lo", "blind", true},
		"only the loopback is wanted": {bpf.ReaderState{Meta: meta(1, 1)}, "lo", "", true},
	} {
		r := readinessOf(c.state, []string{c.interfaces})
		if r.Reason != c.reason || r.Ready != (c.reason == "") || (r.Error == "") != r.Ready || r.Tables != c.tables || (r.HeartbeatAge != nil) != c.tables {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// TestRecordsAreLogged: a line when records are unavailable for longer than an agent's restart takes, a line when they are unavailable for
// another reason, a line when they are back, and nothing for what is shorter.
func TestRecordsAreLogged(t *testing.T) {
	type step struct {
		seconds float64 // since the step before
		reason  string  // of the state now; "" for available
		want    string  // reason that is logged; "ok" for available, "" for nothing
	}
	for name, steps := range map[string][]step{
		"available at the start":     {{0, "", "ok"}, {9, "", ""}},
		"the agent comes later":      {{0, "pins", ""}, {2.9, "pins", ""}, {0, "", "ok"}, {9, "", ""}},
		"no agent":                   {{0, "pins", ""}, {3, "pins", "pins"}, {9, "pins", ""}, {60, "", "ok"}},
		"a restart":                  {{0, "", "ok"}, {9, "pins", ""}, {1, "", ""}, {2.9, "pins", ""}, {2.9, "pins", ""}, {0, "", ""}},
		"a dead agent":               {{0, "", "ok"}, {9, "stale", ""}, {3, "stale", "stale"}, {9, "stale", ""}, {1, "", "ok"}},
		"another reason":             {{0, "", "ok"}, {9, "stale", ""}, {3, "stale", "stale"}, {1, "pins", ""}, {2, "layout", ""}, {1, "layout", "layout"}},
		"the same reason once again": {{0, "", "ok"}, {9, "stale", ""}, {3, "stale", "stale"}, {1, "pins", ""}, {2, "stale", ""}, {9, "stale", ""}},
	} {
		var said bytes.Buffer
		var state metrics.Readiness
		r := newRecords(func() metrics.Readiness { return state }, zerolog.New(&said))
		now := time.Unix(1e9, 0)
		for i, s := range steps {
			now = now.Add(time.Duration(s.seconds * float64(time.Second)))
			if state = (metrics.Readiness{Reason: s.reason, Error: s.reason}); s.reason == "" {
				state = readinessOf(bpf.ReaderState{Meta: flow.Meta{Layout: 1, Interfaces: 1}}, nil)
			}
			said.Reset()
			r.look(now)
			var line struct{ Message, Reason, Level string }
			if said.Len() > 0 {
				must(t, json.Unmarshal(said.Bytes(), &line))
			}
			got := line.Reason
			if strings.HasPrefix(line.Message, "records are available") && line.Level == "info" {
				got = "ok"
			}
			if got != s.want || got != "" && got != "ok" && line.Level != "warn" {
				t.Errorf("%s, step %d: %s, want %q", name, i, said.String(), s.want)
			}
			if last := r.readiness().LastError; s.reason != "" && (last == nil || last.Reason != s.reason || !last.At.Equal(now)) {
				t.Errorf("%s, step %d: the last error is %+v", name, i, last)
			}
		}
	}
}
