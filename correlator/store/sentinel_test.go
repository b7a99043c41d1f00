//go:build linux

package store

import (
	"fmt"
	"testing"
	"time"

	redistest "fivetuple/examples/redis"
)

// TestSentinelFailover: in order, and after a crash. What waits is sent to the new primary, it is said that something may be lost, and
// what is published is heard.
func TestSentinelFailover(t *testing.T) {
	s := redistest.StartSentinel(t, redistest.Options{}, "")
	watched := func(o *Options) { o.Addresses, o.Mode, o.Master = s.Addresses(), ModeSentinel, redistest.Master }
	a, b := linked(t, "a", watched), linked(t, "b", watched)
	for i, fail := range []func(){
		s.Failover,
		func() { was := s.Primary(); was.Kill(); s.AwaitFailover(was) },
	} {
		key, value := fmt.Sprint("k", i), fmt.Sprint("v", i)
		fail()
		started := time.Now()
		a.Writer.Set(key, []byte(value), time.Hour)
		a.Writer.HSet("h", key, []byte(value), time.Hour)
		flush(t, a.Writer)
		sent := time.Since(started)
		equal(t, "the value", s.Primary().Do("GET", key), value)
		for _, l := range []*Link{a, b} {
			token(t, "the loss", l.Presence.Lost())
		}
		noticed := time.Since(started)
		// The new primary's subscribers hear it, whether b has already found it or not.
		redistest.Await(t, "what is published", func() bool {
			a.Writer.Publish(keysOf("f").Channel("a"), []byte(value), time.Second)
			select {
			case h := <-b.Subscriber.Heard():
				return string(h.Payload) == value
			case <-time.After(50 * time.Millisecond):
				return false
			}
		})
		t.Logf("after failover %d: sent after %v, loss told after %v", i, sent, noticed)
	}
	ttls(t, s.Primary())
	if c := a.Counts(); c.Refused != [Kinds]uint64{} || c.Dropped != 0 || c.Lost < 2 || c.NamesakeThere {
		t.Errorf("%+v", c)
	}
}
