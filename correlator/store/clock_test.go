//go:build linux

package store

import (
	"testing"
	"time"

	redistest "fivetuple/examples/redis"
)

func TestClockOfAServer(t *testing.T) {
	s := redistest.Start(t, redistest.Options{})
	m := new(Meter)
	c := NewClock(connect(t, m, single(s)), m, keysOf("f"))
	if d := time.Since(time.UnixMilli(c.Now())); d.Abs() > time.Second || m.Counts().ClockKnown {
		t.Error("before it is known:", d)
	}
	if err := c.Ask(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := s.Admin().Time(t.Context()).Val()
	now := c.Now()
	after := s.Admin().Time(t.Context()).Val()
	slack := c.best.within.Milliseconds() + 2
	if now < before.UnixMilli()-slack || now > after.UnixMilli()+slack {
		t.Errorf("%d is not within %d..%d, give or take %d ms", now, before.UnixMilli(), after.UnixMilli(), slack)
	}
	if k := m.Counts(); !k.ClockKnown || k.ClockOffset.Abs() > k.ClockError+50*time.Millisecond || k.ClockSteps != 0 {
		t.Errorf("%+v", k)
	}
	s.Kill()
	if err := c.Ask(t.Context()); err == nil || m.Counts().Up {
		t.Error("an answer of nobody")
	}
}

// TestClockTakesTheBestAnswer: those with a long round trip say little, and old ones are not of use for ever.
func TestClockTakesTheBestAnswer(t *testing.T) {
	m := new(Meter)
	c := &Clock{meter: m}
	start := time.Now()
	ahead := func(after, ahead, within time.Duration) int64 {
		local := start.Add(after)
		c.take(sample{local, local.Add(ahead), within})
		return c.At(local) - local.UnixMilli()
	}
	const hour = time.Hour
	for _, step := range []struct {
		after, ahead, within time.Duration
		want                 time.Duration
	}{
		{0, hour + 80*time.Millisecond, 100 * time.Millisecond, hour + 80*time.Millisecond},
		{1 * time.Second, hour, time.Millisecond, hour},
		{2 * time.Second, hour + 60*time.Millisecond, 100 * time.Millisecond, hour},                        // worse
		{70 * time.Second, hour + 60*time.Millisecond, 100 * time.Millisecond, hour + 60*time.Millisecond}, // the best one is old
		{71 * time.Second, hour, time.Millisecond, hour},
		{72 * time.Second, hour + 9*time.Millisecond, time.Millisecond, hour + 9*time.Millisecond}, // drift
		{73 * time.Second, 0, time.Millisecond, 0},                                                 // set right
	} {
		if got := ahead(step.after, step.ahead, step.within); got != step.want.Milliseconds() {
			t.Errorf("after %v: %d ms ahead, want %v", step.after, got, step.want)
		}
	}
	equal(t, "steps", m.Counts().ClockSteps, 1)
	for i := range 1000 {
		ahead(100*time.Second+time.Duration(i), 0, time.Millisecond)
	}
	equal(t, "samples", len(c.samples), clockSamples)
}
