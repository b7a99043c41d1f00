package store

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"fivetuple/correlator/fleet"
)

const (
	// clockEvery is how often Redis is asked for its time, clockFirst how often in a row at the start.
	clockEvery = 5 * time.Second
	clockFirst = 5
	// clockSamples are kept, for clockFor: between them the two clocks' rates don't matter (50 ppm are 3 ms a minute).
	clockSamples = 12
	clockFor     = time.Minute
	// clockSlack is what two samples may differ by beyond their round trips.
	clockSlack = 10 * time.Millisecond
)

// Clock is Redis' clock, which all gateways of a fleet share: that of the server that holds the fleet's list. It goes on by this host's
// monotonic clock from the answer with the least round trip of the last minute, so that neither steps of this host's clock nor skew
// between gateways matter. Until Redis has answered, it is this host's clock.
type Clock struct {
	client redis.UniversalClient
	key    string
	meter  *Meter

	mu      sync.Mutex
	samples []sample // the newest last
	best    sample
}

// sample is one answer: the server's time at a local moment, give or take.
type sample struct {
	local  time.Time // with a monotonic reading
	server time.Time
	within time.Duration // half of the round trip
}

// NewClock returns the clock of a fleet's Redis.
func NewClock(client redis.UniversalClient, m *Meter, keys fleet.Keys) *Clock {
	return &Clock{client: client, key: keys.Gateways(), meter: m}
}

// Now returns the time in Redis' clock, in milliseconds since 1970.
func (c *Clock) Now() int64 { return c.At(time.Now()) }

// At returns what Redis' clock says at a moment of this host's (best with a monotonic reading), in milliseconds since 1970.
func (c *Clock) At(local time.Time) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at(local).UnixMilli()
}

func (c *Clock) at(local time.Time) time.Time {
	if len(c.samples) == 0 {
		return local
	}
	return c.best.server.Add(local.Sub(c.best.local))
}

// Run asks for the time until the context is done.
func (c *Clock) Run(ctx context.Context) {
	for known, tries := 0, 1; ; {
		next := clockEvery
		switch err := c.Ask(ctx); {
		case err != nil:
			next = backoff(tries)
			tries++
		case known < clockFirst:
			known, tries, next = known+1, 1, minBackoff
		}
		if !pause(ctx, next) {
			return
		}
	}
}

// Ask asks Redis for its time, once.
func (c *Clock) Ask(ctx context.Context) error {
	sent := time.Now()
	server, err := c.time(ctx)
	trip := time.Since(sent)
	c.meter.answered(err)
	if err != nil {
		return fmt.Errorf("ask for the time: %w", err)
	}
	c.take(sample{sent.Add(trip / 2), server, trip / 2})
	return nil
}

// time asks the server that has the fleet's list: in a Cluster each has a clock of its own.
func (c *Clock) time(ctx context.Context) (time.Time, error) {
	server, err := listServer(ctx, c.client, c.key)
	if err != nil {
		return time.Time{}, err
	}
	return server.Time(ctx).Result()
}

// listServer returns the server that has the fleet's list, by the list's key: in a Cluster, one of several.
func listServer(ctx context.Context, client redis.UniversalClient, key string) (redis.UniversalClient, error) {
	cluster, ok := client.(*redis.ClusterClient)
	if !ok {
		return client, nil
	}
	return cluster.MasterForKey(ctx, key)
}

// take takes an answer. One that can't be of the clock that was followed until now begins anew: a server was set right, or another one answers.
func (c *Clock) take(s sample) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if apart := c.at(s.local).Sub(s.server).Abs(); len(c.samples) > 0 && apart > s.within+c.best.within+clockSlack {
		c.samples = nil
		c.meter.clockSteps.Add(1)
	}
	if len(c.samples) == clockSamples {
		c.samples = c.samples[1:]
	}
	c.samples = append(c.samples, s)
	c.best = s
	for _, old := range c.samples {
		if old.within < c.best.within && s.local.Sub(old.local) < clockFor {
			c.best = old
		}
	}
	c.meter.offset.Store(int64(c.at(s.local).Sub(s.local.Round(0)))) // against the wall clock
	c.meter.offsetError.Store(int64(c.best.within))
	c.meter.isClockKnown.Store(true)
}
