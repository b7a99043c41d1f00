//go:build linux

package share_test

import (
	"math/rand/v2"
	"testing"

	redistest "fivetuple/examples/redis"
)

// TestFiguresOutliveTheProcess: a gateway that starts anew goes on with what it had told, and its calls are counted once.
func TestFiguresOutliveTheProcess(t *testing.T) {
	t.Parallel()
	s := in(redistest.Start(t, redistest.Options{}).Address())
	l := lookAt(t, s.of("people"))
	random := rand.New(rand.NewPCG(3, 1))
	var raw []float64
	for i, calls := range []int{300, 200, 100} {
		g := join(t, s.of("gw-a"))
		us := around(random, calls, 20_000*float64(i+1))
		g.take("orders", us[0])
		raw = append(raw, us...)
		g.await("figures that are told", func() bool { return of(collect(t, l), "orders").Calls == uint64(len(raw)-calls+1) })
		g.take("orders", us[1:]...)
		g.end() // what was counted since are its last words
		if r := of(collect(t, l), "orders"); r.Calls != uint64(len(raw)) || r.Timed != uint64(len(raw)) {
			t.Fatalf("process %d: %d calls, want %d", i, r.Calls, len(raw))
		}
	}
	r := of(collect(t, l), "orders").Total
	for at, ms := range map[float64]float64{0.5: r.P50, 0.9: r.P90, 0.99: r.P99} {
		wantQuantile(t, "three processes", ms*1000, at, raw)
	}
}

// TestFiguresOfATakeOver: what the process before counts while it still has calls under way is counted, and what the next one counts, too,
// also if that one lives for a moment only.
func TestFiguresOfATakeOver(t *testing.T) {
	t.Parallel()
	s := in(redistest.Start(t, redistest.Options{}).Address())
	l := lookAt(t, s.of("people"))
	calls := func() uint64 { return of(collect(t, l), "orders").Calls }
	old := join(t, s.of("gw-a"))
	old.take("orders", 20_000)
	old.await("figures that are told", func() bool { return calls() == 1 })

	next := open(t, s.of("gw-a"))
	next.listen()
	old.take("orders", 20_000)
	gone := make(chan struct{})
	old.Yield()
	next.Speak(gone)
	old.await("what was counted until then", func() bool { return calls() == 2 })
	next.take("orders", 20_000)
	old.take("orders", 20_000)
	next.passes(8) // it would have told
	old.end()
	close(gone)
	next.await("figures of both", func() bool { return calls() == 4 })
	next.end()

	short := open(t, s.of("gw-a"))
	short.take("orders", 20_000)
	short.run()
	short.await("Redis", func() bool { return short.Counts().Up })
	short.end()
	if n := calls(); n != 5 {
		t.Errorf("%d calls, want 5", n)
	}
}

// TestOneThatEndsBeforeItsPredecessorSaysSo: what it has counted is lost.
func TestOneThatEndsBeforeItsPredecessorSaysSo(t *testing.T) {
	t.Parallel()
	g := open(t, in(redistest.Start(t, redistest.Options{}).Address()).of("gw-a"))
	g.take("orders", 20_000)
	g.Speak(make(chan struct{}))
	g.listen()
	g.await("Redis", func() bool { return g.Counts().Up && g.Counts().Waiting == 0 })
	g.end()
	if g.log.lines("figures are not told") != 1 {
		t.Errorf("nothing is said of them:\n%s", g.log)
	}
}

// TestMergedQuantiles: those of a report, and of what a newcomer takes for usual, are those of both gateways' calls, within the
// accuracy.
func TestMergedQuantiles(t *testing.T) {
	t.Parallel()
	s := in(redistest.Start(t, redistest.Options{}).Address())
	random := rand.New(rand.NewPCG(3, 2))
	var raw, learned []float64
	for i, calls := range []int{5000, 700} {
		g := open(t, s.of([]string{"gw-a", "gw-b"}[i]))
		us := around(random, calls, 20_000*float64(1+3*i))
		g.take("orders", us...)
		raw = append(raw, us...)
		us = around(random, 400, 20_000*(1+0.5*float64(i))) // a window keeps 512 calls as they are
		g.learn("orders", us...)
		learned = append(learned, us...)
		g.run()
	}
	l := lookAt(t, s.of("people"))
	c := join(t, s.of("gw-c"))
	c.await("figures of both", func() bool { return of(collect(t, l), "orders").Calls == uint64(len(raw)) })
	r := collect(t, l)
	if of(r, "orders").Timed != uint64(len(raw)) || len(r.Gateways) != 3 || r.Gateways[0].Calls != 5000 || r.Gateways[1].Calls != 700 {
		t.Errorf("%d of %d timed, %+v", of(r, "orders").Timed, len(raw), r.Gateways)
	}
	total, upstream := of(r, "orders").Total, of(r, "orders").Upstream
	for at, ms := range map[float64][2]float64{0.5: {total.P50, upstream.P50}, 0.9: {total.P90, upstream.P90}, 0.99: {total.P99, upstream.P99}} {
		wantQuantile(t, "a report, total", ms[0]*1000, at, raw)
		wantQuantile(t, "a report, upstream", ms[1]*1000, at, raw)
	}
	c.awaitWarm("orders")
	c.await("what both have learned", func() bool { return c.Baselines.Usual(get("orders")).Calls >= 800 })
	usual, _ := c.usual("orders")
	wantQuantile(t, "what is usual", usual.P50, 0.5, learned)
	wantQuantile(t, "what is usual", usual.P99, 0.99, learned)
}
