package main

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"fivetuple/bpf"
	"fivetuple/conf"
	"fivetuple/correlator"
)

func outputOf(t *testing.T, c conf.Config) (*output, *bytes.Buffer) {
	t.Helper()
	clock, err := bpf.NewClock()
	if err != nil {
		t.Fatal(err)
	}
	said := new(bytes.Buffer)
	return newOutput(c, clock, newFigures(c), func(*correlator.CallRecord) {}, zerolog.New(zerolog.SyncWriter(said))), said
}

func finishedCall(out *output) *correlator.CallRecord {
	r := &correlator.CallRecord{Match: correlator.MatchNone, Reason: correlator.ReasonPins, At: correlator.Moments{Plugin: out.clock.Now()}}
	r.Route.Route = "orders"
	r.Peer, r.Gateway = netip.MustParseAddrPort("192.0.2.77:50000"), netip.MustParseAddrPort("198.51.100.9:9080")
	return r
}

// TestOutputWithoutALog: a log that cannot be written is one warning, and the metrics go on.
func TestOutputWithoutALog(t *testing.T) {
	c := conf.Default()
	c.Calls.File = "/proc/fivetuple/calls.jsonl"
	out, said := outputOf(t, c)
	if text := said.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "goes on without") || !strings.Contains(text, c.Calls.File) {
		t.Errorf("said: %s", text)
	}
	out.sink()(finishedCall(out))
	out.close(zerolog.Nop())
	families, err := out.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "fivetuple_calls_total" {
			return
		}
	}
	t.Error("the call is not counted")
}

// TestOutputSinks: what is off gets nothing, and a call goes to what is on.
func TestOutputSinks(t *testing.T) {
	for _, on := range []struct{ log, metrics bool }{{false, false}, {true, false}, {false, true}, {true, true}} {
		c := conf.Default()
		file := filepath.Join(t.TempDir(), "calls.jsonl")
		if c.Calls.File = ""; on.log {
			c.Calls.File = file
		}
		if !on.metrics {
			c.Metrics.Listen = ""
		}
		out, said := outputOf(t, c)
		sink := out.sink()
		sink(finishedCall(out))
		out.close(zerolog.Nop())
		text, err := os.ReadFile(file)
		if (err == nil) != on.log || on.log && !strings.Contains(string(text), `"apisix.route_id":"orders"`) || said.Len() > 0 {
			t.Errorf("%+v: %v %s %s", on, err, text, said)
		}
	}
}

// TestOutputPath: without a setting for it no path is looked at.
func TestOutputPath(t *testing.T) {
	c := conf.Default()
	c.Calls.File, c.Metrics.Listen = filepath.Join(t.TempDir(), "calls.jsonl"), ""
	out, _ := outputOf(t, c)
	defer out.close(zerolog.Nop())
	if out.path(c.Calls) != nil {
		t.Error("paths are looked at")
	}
	for setting, want := range map[string]string{conf.PathFull: "/a", conf.PathHash: "6a50dc8584134c7d"} {
		c.Calls.Path = setting
		if got := out.path(c.Calls)([]byte("/a?b")); got != want {
			t.Errorf("%s: %s, want %s", setting, got, want)
		}
	}
}
