package stack_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"fivetuple/examples/lab"
	redistest "fivetuple/examples/redis"
	"fivetuple/examples/stack"
	"fivetuple/runner/report"
)

// knownWithin is how long it may take until all gateways know what one of them has flagged.
const knownWithin = time.Second

// member is a gateway of a fleet, with all that belongs to it.
type member struct {
	*stack.Stack
	name, metrics string
}

// fleetSettings are a gateway's.
func fleetSettings(gateway string, redis map[string]any, verdicts string) map[string]any {
	return map[string]any{
		"redis":    redis,
		"fleet":    map[string]any{"name": "test", "gateway": gateway, "shared_verdicts": verdicts},
		"baseline": map[string]any{"file": "", "min_calls": 40, "window": "2s"},
	}
}

// join starts a gateway of a fleet.
func join(t *testing.T, gateway string, redis map[string]any, verdicts string) (context.Context, *member) {
	t.Helper()
	m := &member{name: gateway, metrics: freeAddress(t)}
	ctx, s := start(t, stack.Options{Metrics: m.metrics, Settings: fleetSettings(gateway, redis, verdicts)})
	m.Stack = s
	m.awaits(t, "a gateway that has reached Redis", func(c map[string]float64) bool {
		return c["fivetuple_redis_up"] == 1 && c["fivetuple_redis_clock_known"] == 1
	})
	return ctx, m
}

// awaits waits until a runner's metrics say something.
func (m *member) awaits(t *testing.T, what string, holds func(map[string]float64) bool) {
	t.Helper()
	redistest.Await(t, what, func() bool { return holds(scrape(t, m.metrics)) })
}

// command runs a command with the gateway's settings, and returns its output.
func (m *member) command(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), binary, append(args, "--config", m.SettingsFile())...).CombinedOutput()
	if err != nil {
		t.Fatalf("%q: %v: %s", args, err, out)
	}
	return string(out)
}

// sources returns what `fivetuple sources` says of an address.
func (m *member) source(t *testing.T, address string) (all []fleetSource) {
	t.Helper()
	in := json.NewDecoder(strings.NewReader(m.command(t, "sources", "list", "--json")))
	for in.More() {
		var l fleetSource
		if err := in.Decode(&l); err != nil {
			t.Fatal(err)
		}
		if l.Address == address {
			all = append(all, l)
		}
	}
	return all
}

type fleetSource struct {
	sourceLine
	Gateways []string
	Effect   string
}

// TestAnAttackOnOneIsKnownByAll: within a second the others know, with who says so and why. One gateway's word blocks nobody
// elsewhere; that of two does, where the setting says so, and nobody else is concerned.
func TestAnAttackOnOneIsKnownByAll(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	at := map[string]any{"addresses": []string{server.Address()}}
	ctx, a := join(t, "gw-a", at, "enforce")
	_, b := join(t, "gw-b", at, "enforce")
	_, c := join(t, "gw-c", at, "enforce")
	_, d := join(t, "gw-d", at, "observe")

	drip(ctx, t, a.Stack)
	var flagged fleetSource
	redistest.Await(t, "a flag", func() bool {
		for _, l := range a.source(t, lab.ClientIPv4) {
			if l.Origin == "watcher" {
				flagged = l
			}
		}
		return flagged.Address != ""
	})
	b.awaits(t, "a flag of gw-a", func(m map[string]float64) bool { return m["fivetuple_fleet_flags_sources"] == 1 })
	took := time.Since(flagged.Since)
	t.Logf("known on gw-b %v after it was flagged on gw-a", took.Round(time.Millisecond))
	if took > knownWithin {
		t.Errorf("known after %v, at most %v are allowed", took, knownWithin)
	}
	heard := b.source(t, lab.ClientIPv4)
	if len(heard) != 1 || heard[0].Origin != "fleet" || heard[0].Signals != "slow-headers" || heard[0].Effect != "too-few" ||
		fmt.Sprint(heard[0].Gateways) != "[gw-a]" || heard[0].Expires.Before(time.Now()) {
		t.Errorf("gw-b says %+v", heard)
	}
	victim := dial(ctx, t, c.Stack, lab.GatewayFrontIPv4)
	if in, _ := do(t, victim, stack.Get("/both/1", 0)); in.Score != 0 {
		t.Errorf("one gateway's word gives a call on gw-c %v for %q", in.Score, in.Signals)
	}

	drip(ctx, t, b.Stack)
	redistest.Await(t, "a flag on gw-b, too, which counts on gw-c", func() bool {
		in, _ := do(t, victim, stack.Get("/both/1", 0))
		return in.Signals == "slow-headers" && in.Score > 0.5
	})
	if in, _ := do(t, dial(ctx, t, c.Stack, lab.GatewayFrontIPv6), stack.Get("/both/1", 0)); in.Score != 0 {
		t.Errorf("somebody else has %v for %q", in.Score, in.Signals)
	}
	observed := dial(ctx, t, d.Stack, lab.GatewayFrontIPv4)
	d.awaits(t, "a call that is counted", func(m map[string]float64) bool {
		if in, _ := do(t, observed, stack.Get("/both/1", 0)); in.Score != 0 {
			t.Errorf("gw-d only observes, and its call has %v for %q", in.Score, in.Signals)
		}
		return m["fivetuple_fleet_calls_observed_total"] > 0
	})
	a.command(t, "sources", "flag", lab.ClientIPv4)
	b.command(t, "sources", "flag", lab.ClientIPv4)
	redistest.Await(t, "a person's word on two gateways, by which gw-c refuses", func() bool {
		answer, _ := victim.Do(stack.Get("/enforced/1", 0))
		return answer.Status == http.StatusTooManyRequests
	})

	c.command(t, "sources", "unflag", lab.ClientIPv4)
	redistest.Await(t, "a pardon, against which no other gateway's word counts", func() bool {
		in, _ := do(t, victim, stack.Get("/both/1", 0))
		return in.Score == 0
	})
	events := d.command(t, "events", "--json")
	for _, want := range []string{`"gateway":"gw-a"`, `"gateway":"gw-b"`, `"kind":"source"`, lab.ClientIPv4} {
		if !strings.Contains(events, want) {
			t.Errorf("events lack %s:\n%s", want, events)
		}
	}
}

// TestANewGatewayIsWarm: what one has learned gives another its first verdict, of which it has learned next to nothing itself.
func TestANewGatewayIsWarm(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	at := map[string]any{"addresses": []string{server.Address()}}
	ctx, a := join(t, "gw-a", at, "off")
	old := dial(ctx, t, a.Stack, lab.GatewayFrontIPv4)
	calls := 0
	redistest.Await(t, "a gateway that has learned", func() bool {
		calls++
		in, _ := do(t, old, stack.Get("/both/1", 0))
		return !in.Learning
	})
	t.Logf("gw-a has learned by %d calls", calls)
	a.awaits(t, "windows that are told", func(m map[string]float64) bool { return m["fivetuple_baseline_published_total"] > 0 })

	_, b := join(t, "gw-b", at, "off")
	young := dial(ctx, t, b.Stack, lab.GatewayFrontIPv4)
	began, calls := time.Now(), 0
	redistest.Await(t, "a gateway that knows what is usual", func() bool {
		calls++
		in, _ := do(t, young, stack.Get("/both/1", 0))
		time.Sleep(200 * time.Millisecond)
		return !in.Learning
	})
	t.Logf("gw-b knows after %d calls and %v", calls, time.Since(began).Round(time.Millisecond))
	if calls >= 40 {
		t.Errorf("after %d calls it may have learned by itself", calls)
	}
}

// TestNothingStays: every key that gateways have written has a time to live of a day at most, and is in their fleet's name.
func TestNothingStays(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	at := map[string]any{"addresses": []string{server.Address()}}
	ctx, a := join(t, "gw-a", at, "enforce")
	a.command(t, "sources", "flag", "192.0.2.7")
	c := dial(ctx, t, a.Stack, lab.GatewayFrontIPv4)
	redistest.Await(t, "windows that are told", func() bool {
		_, _ = do(t, c, stack.Get("/both/1", 0))
		return scrape(t, a.metrics)["fivetuple_baseline_published_total"] > 0
	})
	if err := a.StopRunner(); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	keys := server.Admin().Scan(ctx, 0, "*", 100).Iterator()
	for keys.Next(ctx) {
		key := keys.Val()
		left, err := server.Admin().PTTL(ctx, key).Result()
		if err != nil || left <= 0 || left > 24*time.Hour {
			t.Errorf("%s lives for %v: %v", key, left, err)
		}
		rest, ok := strings.CutPrefix(key, "fivetuple:{test}:")
		if !ok {
			t.Errorf("%s is not in the fleet's name", key)
		}
		kind, _, _ := strings.Cut(strings.TrimPrefix(rest, "gw:gw-a:"), ":")
		kinds[kind]++
	}
	if err := keys.Err(); err != nil {
		t.Fatal(err)
	}
	t.Log(kinds)
	for _, kind := range []string{"gateways", "who", "flags", "events", "figures", "baseline"} {
		if kinds[kind] == 0 {
			t.Errorf("no key of the kind %s", kind)
		}
	}
}

// TestThePasswordIsNowhere: neither in the log nor in the list of processes nor in their output, also when it is wrong.
func TestThePasswordIsNowhere(t *testing.T) {
	const secret = "f7c1e9-not-to-be-seen"
	dir := t.TempDir()
	file := dir + "/password"
	for _, d := range []string{filepath.Dir(dir), dir} { // the runner is nobody
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	server := redistest.Start(t, redistest.Options{ACL: "user gw on >something-else ~* &* +@all\nuser default off\n"})
	log := new(lockedBuffer)
	settings := fleetSettings("gw-a", map[string]any{
		"addresses": []string{server.Address()}, "username": "gw", "password_file": file,
	}, "observe")
	settings["log"] = map[string]any{"level": "debug"}
	m := &member{metrics: freeAddress(t)}
	_, s := start(t, stack.Options{Metrics: m.metrics, Settings: settings, Log: log})
	m.Stack = s
	redistest.Await(t, "a password that is refused", func() bool { return strings.Contains(log.String(), "WRONGPASS") })
	cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", s.RunnerPID()))
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), binary, "report", "--config", s.SettingsFile()).CombinedOutput()
	if err == nil {
		t.Errorf("a report with a wrong password: %s", out)
	}
	for what, text := range map[string]string{"log": log.String(), "list of processes": string(cmdline), "output of a command": string(out)} {
		if strings.Contains(text, secret) {
			t.Errorf("the password is in the %s", what)
		}
	}
	server.SetACL("user gw on >" + secret + " ~* &* +@all\nuser default off\n")
	m.awaits(t, "a gateway that has healed", func(c map[string]float64) bool { return c["fivetuple_redis_up"] == 1 })
}

// TestATakeOverInAFleet: the fleet's report has all calls of both processes, and for the other gateway nothing happens but that it reads the
// list of flags once more.
func TestATakeOverInAFleet(t *testing.T) {
	const address, calls, takeOvers = "192.0.2.7", 50, 3
	server := redistest.Start(t, redistest.Options{})
	at := map[string]any{"addresses": []string{server.Address()}}
	ctx, a := join(t, "gw-a", at, "observe")
	_, b := join(t, "gw-b", at, "observe")
	a.command(t, "sources", "flag", address)
	var missed float64
	b.awaits(t, "a flag of gw-a", func(c map[string]float64) bool {
		missed = c["fivetuple_fleet_flags_missed_total"]
		return c["fivetuple_fleet_flags_sources"] == 1
	})
	reported := func() uint64 {
		var r report.Report
		if err := json.Unmarshal([]byte(b.command(t, "report", "--format", "json")), &r); err != nil {
			t.Fatal(err)
		}
		for _, g := range r.Gateways {
			if g.Gateway == "gw-a" {
				return g.Calls
			}
		}
		return 0
	}
	c := dial(ctx, t, a.Stack, lab.GatewayFrontIPv4)
	call := func() {
		for n := range calls {
			do(t, c, stack.Post("/insight/post", n))
		}
	}
	call()
	redistest.Await(t, "figures that are told", func() bool { return reported() > 0 })
	for range takeOvers {
		call()
		if err := a.TakeOver(ctx); err != nil {
			t.Fatal(err)
		}
		heard := scrape(t, b.metrics)["fivetuple_fleet_flags_heard_total"]
		b.awaits(t, "the new process' flags", func(c map[string]float64) bool {
			if c["fivetuple_fleet_flags_sources"] != 1 {
				t.Error("gw-b has forgotten what gw-a holds")
			}
			return c["fivetuple_fleet_flags_heard_total"] > heard
		})
	}
	call()
	if err := a.StopRunner(); err != nil {
		t.Fatal(err)
	}
	if got := reported(); got != (2+takeOvers)*calls {
		t.Errorf("%d calls are in the report, want %d", got, (2+takeOvers)*calls)
	}
	if got := scrape(t, b.metrics)["fivetuple_fleet_flags_missed_total"]; got > missed+takeOvers {
		t.Errorf("gw-b has missed something %v times in %d take-overs", got-missed, takeOvers)
	}
}

// TestAReportOfTwoGateways: its quantiles are those of all calls of both, as their logs have them, each within what sketches allow;
// and their clocks' offset is told.
func TestAReportOfTwoGateways(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	at := map[string]any{"addresses": []string{server.Address()}}
	ctx, a := join(t, "gw-a", at, "off")
	_, b := join(t, "gw-b", at, "off")
	const calls = 400
	var took []float64
	var in uint64
	for i, m := range []*member{a, b} {
		c := dial(ctx, t, m.Stack, lab.GatewayFrontIPv4)
		for n := range calls {
			do(t, c, stack.Post("/insight/post", 10*n*(1+i)))
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		var lines []logged
		waitUntil(t, func() bool { lines = readLog(t, m.CallsFile()); return len(lines) == calls })
		for _, l := range lines {
			took, in = append(took, l.Total/1000), in+uint64(l.Bytes)
		}
		m.awaits(t, "calls that are counted", func(c map[string]float64) bool {
			return c["fivetuple_report_routes"] == 1 && c["fivetuple_queue_records{queue=report}"] == 0
		})
		if err := m.StopRunner(); err != nil { // it tells what it has counted
			t.Fatal(err)
		}
	}
	var r report.Report
	if err := json.Unmarshal([]byte(a.command(t, "report", "--format", "json")), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Routes) != 1 || len(r.Gateways) != 2 || r.Routes[0].Calls != 2*calls || r.Routes[0].Request.Bytes != in {
		t.Fatalf("%+v", r)
	}
	for _, g := range r.Gateways {
		if g.Calls != calls || g.ClockOffset == nil || time.Since(g.LastSeen) > time.Minute {
			t.Errorf("%+v", g)
		}
	}
	slices.Sort(took)
	total := r.Routes[0].Total
	for q, got := range map[float64]float64{0.5: total.P50, 0.9: total.P90, 0.99: total.P99} {
		rank := q * float64(len(took)-1) // quantiles of sketches are at this rank, and weights are rounded
		low, high := took[int(rank)-1], took[min(int(rank)+2, len(took)-1)]
		t.Logf("p%g: %.3f ms, the raw values there are %.3f to %.3f ms", q*100, got, low, high)
		if got < low*(1-r.Accuracy)-0.001 || got > high*(1+r.Accuracy)+0.001 {
			t.Errorf("p%g: %v, want %v to %v within %v", q*100, got, low, high, r.Accuracy)
		}
	}
	table := a.command(t, "report")
	for _, want := range []string{"insight", "gw-a", "gw-b", "800"} {
		if !strings.Contains(table, want) {
			t.Errorf("no %s in the table:\n%s", want, table)
		}
	}
	t.Log("\n" + table)
}
