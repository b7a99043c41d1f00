package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fivetuple/correlator/fleet"
	redistest "fivetuple/examples/redis"
	"fivetuple/runner/report"
)

// inFleet puts a bench's runners into a fleet, as its gateway gw-a. A Redis at port 1 is not there.
func (b *bench) inFleet(address string) {
	b.t.Helper()
	file := filepath.Join(b.dir, "fivetuple.yaml")
	settings, err := os.ReadFile(file)
	must(b.t, err)
	must(b.t, os.WriteFile(file, fmt.Appendf(settings, "redis: {addresses: [%q]}\nfleet: {name: test, gateway: gw-a}\n", address), 0o600))
}

// TestRunnersOfAFleetEnd: nothing of the fleet keeps a process that gave its place away, or that has nothing to serve on.
func TestRunnersOfAFleetEnd(t *testing.T) {
	b := newBench(t, 0)
	b.inFleet("127.0.0.1:1")
	first := b.start().ready()
	if b.start().ends() == nil {
		t.Error("a second one served on the same socket")
	}
	b.start("--take-over").ready()
	if err := first.ends(); err != nil {
		t.Errorf("the one whose place was taken: %v", err)
	}
}

// report returns how many calls the fleet's report has.
func (b *bench) report() (calls uint64) {
	b.t.Helper()
	var out bytes.Buffer
	cmd := newRootCommand()
	cmd.SetArgs([]string{"report", "--format", "json", "--config", filepath.Join(b.dir, "fivetuple.yaml")})
	cmd.SetOut(&out)
	must(b.t, cmd.ExecuteContext(b.t.Context()))
	var r report.Report
	must(b.t, json.Unmarshal(out.Bytes(), &r))
	for _, route := range r.Routes {
		calls += route.Calls
	}
	return calls
}

// TestTakeOverInAFleet: while the old process still has a call under way, the new one alone is the gateway; and all calls of both
// are in the fleet's report.
func TestTakeOverInAFleet(t *testing.T) {
	redis := redistest.Start(t, redistest.Options{})
	b := newBench(t, 0)
	b.inFleet(redis.Address())
	keys := fleet.NewKeys("test", false)
	instance := func() string {
		text, _ := redis.Admin().Get(t.Context(), keys.Who("gw-a")).Bytes()
		who, _ := fleet.DecodeWho(text)
		return who.Instance
	}

	old := b.start("--take-over").ready()
	l := b.load(4)
	l.more(100)
	redistest.Await(t, "a gateway that tells what it counts", func() bool { return b.report() > 0 })
	before := instance()
	l.more(1000)
	slow, err := net.Dial("unix", b.path)
	must(t, err)
	defer func() { _ = slow.Close() }()
	_, err = slow.Write([]byte{2, 0}) // half of a frame's header: the old one waits for the rest, for 15 s
	must(t, err)
	next := b.start("--take-over").ready()
	l.more(1000)
	redistest.Await(t, "the new one", func() bool { return instance() != before })
	for last, n := 0.0, 0; n < 3; {
		redistest.Await(t, "a beat", func() bool {
			at, err := redis.Admin().ZScore(t.Context(), keys.Gateways(), "gw-a").Result()
			is := err == nil && at != last
			last = at
			return is
		})
		if n++; n > 1 && instance() == before {
			t.Error("the old one still says that it is the gateway")
		}
	}
	select {
	case <-old.done:
		t.Fatal("the old one has ended: it had nothing under way")
	default:
	}
	calls, _ := l.end()
	must(t, slow.Close())
	must(t, old.ends())
	next.terminate()
	must(t, next.ends())
	if got := b.report(); got != uint64(calls) {
		t.Errorf("%d calls are in the report, there were %d", got, calls)
	}
	for _, p := range []*program{old, next} {
		if strings.Contains(p.text(), string(fleet.KindSameID)) {
			t.Errorf("process %d takes the other one for a namesake", p.cmd.Process.Pid)
		}
	}
}

// TestCallsOfADrainAreReported: also those that are made after SIGTERM, whether or not somebody takes over.
func TestCallsOfADrainAreReported(t *testing.T) {
	redis := redistest.Start(t, redistest.Options{})
	b := newBench(t, patience)
	b.inFleet(redis.Address())
	old := b.start().ready()
	l := b.load(4)
	l.more(100)
	redistest.Await(t, "a gateway that tells what it counts", func() bool { return b.report() > 0 })
	old.terminate()
	l.more(1000)
	next := b.start("--take-over").ready()
	must(t, old.ends())
	l.more(1000)
	calls, _ := l.end()
	next.terminate() // it says at once what it has counted
	redistest.Await(t, "all calls", func() bool { return b.report() == uint64(calls) })
}
