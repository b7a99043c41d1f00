package share

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"fivetuple/correlator/baseline"
	redistest "fivetuple/examples/redis"
	"fivetuple/runner/report"
)

// usage is what a server has done and what it holds.
type usage struct{ commands, in, out, memory, cpu float64 }

func usageOf(t *testing.T, s *redistest.Server) (u usage) {
	t.Helper()
	text, err := s.Admin().Info(t.Context(), "all").Result()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		number, _ := strconv.ParseFloat(value, 64)
		switch name {
		case "total_commands_processed":
			u.commands = number
		case "total_net_input_bytes":
			u.in = number
		case "total_net_output_bytes":
			u.out = number
		case "used_memory":
			u.memory = number
		case "used_cpu_user", "used_cpu_sys":
			u.cpu += number
		}
	}
	return u
}

// spent is what was spent between two moments, for each of n.
func (u usage) spent(since usage, n int) usage {
	of := float64(n)
	return usage{(u.commands - since.commands) / of, (u.in - since.in) / of, (u.out - since.out) / of, (u.memory - since.memory) / of, (u.cpu - since.cpu) / of}
}

func (u usage) String() string {
	return fmt.Sprintf("%8.2f commands %9.0f B in %9.0f B out %8.0f B held %7.1f us CPU", u.commands, u.in, u.out, u.memory, u.cpu*1e6)
}

// aWindow returns a window of a busy route, as it is told.
func aWindow(t *testing.T, o baseline.Options) []byte {
	t.Helper()
	b := baseline.New(o)
	b.Share(0.2)
	now := uint64(o.Window)
	for range 2 * o.Window / time.Second {
		now += uint64(time.Second)
		for source := range 2 {
			b.Learn(now, baseline.Key{Route: "r", Method: "GET"}, &baseline.Observation{Source: addressOf(source + int(now/1e9)), Values: latencies()}) //nolint:gosec // small
		}
		b.Rotate(now)
	}
	told := b.Published(math.MaxInt)
	if len(told) == 0 {
		t.Fatal("no window")
	}
	return told[len(told)-1].Value
}

// figuresOf returns a busy route's figures of a bucket, as they are told.
func figuresOf(t *testing.T, step int64, calls int) []byte {
	t.Helper()
	f := report.New(report.Options{Routes: 1, Gateway: "g", Now: time.Now})
	for range calls {
		f.Take(finished("r"))
	}
	changed, _ := f.Changed(step, 0)
	value, err := changed[len(changed)-1].Encode()
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// TestManyGateways: what gateways with many routes ask of one server, each of which is called on every gateway. The whole size is that
// of FIVETUPLE_FULL=1. What a thousand gateways would ask is reckoned from it.
func TestManyGateways(t *testing.T) {
	n, routes, idle := 4, 50, 6*time.Second
	if os.Getenv("FIVETUPLE_FULL") == "1" {
		n, routes, idle = 50, 1000, 30*time.Second
	}
	server := redistest.Start(t, redistest.Options{})
	gateways := make([]*gateway, n)
	for i := range gateways {
		o := optionsOf(server.Address(), fmt.Sprintf("gw-%d", i))
		o.Redis.Queue = 65536
		gateways[i] = join(t, o)
	}
	redistest.Await(t, "all gateways", func() bool {
		for _, g := range gateways {
			if !g.Counts().ClockKnown {
				return false
			}
		}
		return true
	})
	pause := time.NewTimer(idle)
	before := usageOf(t, server)
	<-pause.C
	beat := usageOf(t, server).spent(before, n)

	learning := baseline.Default()
	window, fine, hour := aWindow(t, learning), figuresOf(t, report.StepFine, 300), figuresOf(t, report.StepHour, 3600)
	t.Logf("values: a window %d B, figures of 5 minutes %d B, of an hour %d B", len(window), len(fine), len(hour))
	key := func(route int) baseline.Key {
		return baseline.Key{Route: fmt.Sprintf("route-%04d", route), Method: "GET"}
	}
	// told writes a value for each gateway and route, and returns what one of them costs.
	told := func(write func(g *gateway, route int)) usage {
		before := usageOf(t, server)
		for _, g := range gateways {
			for route := range routes {
				write(g, route)
			}
			redistest.Await(t, "writes", func() bool { return g.Counts().Waiting == 0 })
		}
		return usageOf(t, server).spent(before, n*routes)
	}
	out := told(func(g *gateway, route int) {
		g.link.Writer.Set(g.keys.Baseline(g.options.Fleet.Gateway, 7, key(route)), window, learning.Kept())
	})
	fineOut := told(func(g *gateway, route int) {
		g.link.Writer.HSet(g.keys.Figures(g.options.Fleet.Gateway, report.StepFine, 0), key(route).Route, fine, figuresTTL(report.StepFine))
	})
	hourOut := told(func(g *gateway, route int) {
		g.link.Writer.HSet(g.keys.Figures(g.options.Fleet.Gateway, report.StepHour, 0), key(route).Route, hour, figuresTTL(report.StepHour))
	})
	reader := gateways[0]
	if !reader.peers.refresh(t.Context(), reader.link.Reader, reader.options.Fleet.Gateway, learning.Kept()) || len(reader.peers.of(key(0))) != n-1 {
		t.Fatalf("%d other gateways are known", len(reader.peers.of(key(0))))
	}
	before, read := usageOf(t, server), reader.Counts().Read
	for route := range routes {
		if err := reader.askFor(t.Context(), baseline.Want{Key: key(route), Periods: []int64{7}}); err != nil {
			t.Fatal(err)
		}
	}
	in := usageOf(t, server).spent(before, routes*(n-1))
	if got := reader.Counts().Read - read; got < uint64(routes*(n-1)) {
		t.Errorf("%d values were read, want %d", got, routes*(n-1))
	}
	t.Logf("one window told      %v", out)
	t.Logf("figures of 5 minutes %v", fineOut)
	t.Logf("figures of an hour   %v", hourOut)
	t.Logf("one window read      %v", in)
	t.Logf("a gateway in %v with nothing to tell %v", idle, beat)

	total := rates{beat: beat, idle: idle, out: out, fine: fineOut, hour: hourOut, in: in, learning: learning}
	t.Log(total.of(n, routes))
	t.Log(total.of(1000, routes))
	checkScale(t, server, gateways, &total)
}

// rates reckons what a fleet asks of a server, by what each thing costs and how often it is done.
type rates struct {
	beat, out, fine, hour, in usage
	idle                      time.Duration
	learning                  baseline.Options
}

// of returns the figures of a second, and what is held.
func (r *rates) of(gateways, routes int) string {
	each := func(of func(usage) float64) float64 { // a gateway and second
		window := r.learning.Window.Seconds()
		peers := float64(min(gateways-1, baseline.MaxPeers))
		perRoute := of(r.out)/window + of(r.fine)/figuresEvery(report.StepFine).Seconds() + of(r.hour)/figuresEvery(report.StepHour).Seconds() +
			peers*of(r.in)/window
		return of(r.beat)/r.idle.Seconds() + float64(routes)*perRoute
	}
	kept := float64(r.learning.Kept() / r.learning.Window)
	held := float64(routes) * (r.out.memory*kept + r.fine.memory*float64(report.KeepFine) + r.hour.memory*float64(report.KeepHour-1))
	commands, in, out, cpu := each(func(u usage) float64 { return u.commands }), each(func(u usage) float64 { return u.in }),
		each(func(u usage) float64 { return u.out }), each(func(u usage) float64 { return u.cpu })
	all := float64(gateways)
	return fmt.Sprintf("%d gateways x %d routes, a second: %.0f commands, %.2f MB in, %.2f MB out, %.1f %% of a CPU; held %.2f GB; "+
		"a gateway: %.1f commands, %.1f KB in, %.1f KB out; a gateway and route: %.3f commands, %.1f B in, %.1f B out",
		gateways, routes, commands*all, in*all/1e6, out*all/1e6, cpu*all*100, held*all/1e9,
		commands, in/1e3, out/1e3, commands/float64(routes), in/float64(routes), out/float64(routes))
}

// checkScale holds what does not depend on the machine: nothing was lost, each key has an end, and no value costs more than its command.
func checkScale(t *testing.T, server *redistest.Server, gateways []*gateway, r *rates) {
	t.Helper()
	for _, g := range gateways {
		if c := g.Counts(); c.Dropped+c.Expired+c.Refused[0]+c.Refused[1] != 0 {
			t.Errorf("%s: %+v", g.options.Fleet.Gateway, c)
		}
	}
	// A hash wants its time to live in the same transaction: MULTI, PEXPIRE, EXEC for all fields of a batch.
	for name, u := range map[string]usage{"out": r.out, "fine": r.fine, "hour": r.hour, "in": r.in} {
		if u.commands > 1.5 {
			t.Errorf("%s: %.2f commands a value", name, u.commands)
		}
	}
	keys := server.Admin().Scan(t.Context(), 0, "*", 1000).Iterator()
	for count := 0; keys.Next(t.Context()) && count < 2000; count++ {
		if left, err := server.Admin().PTTL(t.Context(), keys.Val()).Result(); err != nil || left <= 0 || left > 24*time.Hour {
			t.Errorf("%s lives for %v: %v", keys.Val(), left, err)
		}
	}
}
