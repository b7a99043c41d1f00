//go:build linux

package store

import (
	"context"
	"fmt"
	"testing"
	"time"

	redistest "fivetuple/examples/redis"

	"fivetuple/correlator/baseline"
	"fivetuple/correlator/fleet"
)

func clustered(c *redistest.Cluster) func(*Options) {
	return func(o *Options) { o.Addresses, o.Mode = c.Addresses(), ModeCluster }
}

// written says how many of the keys have the value, wherever they are.
func written(t *testing.T, r *Reader, keys []string, value string) (n int) {
	t.Helper()
	values, err := stringsOf(t, r, keys, 100)
	if err != nil {
		return -1
	}
	for _, v := range values {
		if string(v) == value {
			n++
		}
	}
	return n
}

// TestClusterWrites writes to 256 slots of three nodes, also while a slot moves and after a node was gone.
func TestClusterWrites(t *testing.T) {
	c := redistest.StartCluster(t, redistest.Options{})
	w, m := writing(t, clustered(c))
	r, readerMeter := reading(t, clustered(c))
	spread := fleet.NewKeys("f", true)
	var keys []string
	for i := range 600 {
		keys = append(keys, spread.Baseline("a", 7, baseline.Key{Route: fmt.Sprint("r", i), Method: "GET"}))
	}
	write := func(value string) {
		for i, key := range keys {
			w.Set(key, []byte(value), time.Hour)
			w.HSet(spread.Figures("a", 300, int64(i%20)), fmt.Sprint(i), []byte(value), time.Hour)
		}
		w.XAdd(spread.Events("a"), 100, "v", []byte(value), time.Hour)
	}
	write("1")
	flush(t, w)
	equal(t, "written", written(t, r, keys, "1"), len(keys))
	for i, n := range c.Nodes {
		if held := n.Do("DBSIZE").(int64); held < 100 {
			t.Errorf("node %d has only %d keys", i, held)
		}
	}

	slot := c.Slot(keys[0])
	fleetSlot := c.Slot(spread.Events("a"))
	for _, slot := range []int64{slot, fleetSlot} {
		round := 0
		c.Reshard(slot, func() {
			round++
			value := fmt.Sprint(slot, "-", round)
			write(value)
			flush(t, w)
			equal(t, "written while a slot moves", written(t, r, keys, value), len(keys))
		})
	}
	equal(t, "events", c.Owner(fleetSlot).Admin().XLen(t.Context(), spread.Events("a")).Val(), 5)
	ttls(t, c.Nodes...)

	lost := c.Owner(slot)
	lost.Kill()
	write("2")
	redistest.Await(t, "a try", func() bool { return m.Counts().Retried > 0 && !m.Counts().Up })
	lost.Restart()
	flush(t, w)
	redistest.Await(t, "all values", func() bool { return written(t, r, keys, "2") == len(keys) })
	if k := m.Counts(); k.Refused != [Kinds]uint64{} || k.Dropped != 0 {
		t.Errorf("%+v", k)
	}
	equal(t, "skipped", readerMeter.Counts().Skipped, "[0 0 0 0 0 0]")
}

// TestClusterPublishesInOrder: whatever node one listens at.
func TestClusterPublishesInOrder(t *testing.T) {
	c := redistest.StartCluster(t, redistest.Options{})
	w, _ := writing(t, clustered(c))
	var heard []*Subscriber
	for range 4 { // at random nodes
		s, _ := hearing(t, clustered(c), asIs)
		token(t, "the subscription", s.Again())
		heard = append(heard, s)
	}
	const n = 500
	for i := range n {
		of := fmt.Sprint("gw-", i%40) // of none is more said than waits
		w.Publish(keysOf("f").Channel(of), []byte(fmt.Sprint(i)), time.Minute)
		if i%50 == 0 {
			flush(t, w) // so that there are several batches
		}
	}
	for _, s := range heard {
		for i := range n {
			equal(t, "heard", string(hear(t, s).Payload), i)
		}
	}
}

// TestClusterNodeHangs: while one node does not answer, what is published goes on, and the rest is sent when it answers again.
func TestClusterNodeHangs(t *testing.T) {
	c := redistest.StartCluster(t, redistest.Options{Config: []string{"cluster-require-full-coverage no"}})
	k := fleet.NewKeys("f", true)
	owner := c.Owner(c.Slot(k.Channel("a")))
	var hung *redistest.Server
	var key string // one that the hung node has
	for i := 0; hung == nil; i++ {
		key = k.Baseline("a", 1, baseline.Key{Route: fmt.Sprint(i), Method: "GET"})
		if of := c.Owner(c.Slot(key)); of != owner {
			hung = of
		}
	}
	w, m := writing(t, clustered(c))
	sub := owner.Admin().Subscribe(t.Context(), k.Channel("a"))
	defer closed(sub)
	if _, err := sub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.Set(key, []byte("1"), time.Hour)
	w.Publish(k.Channel("a"), nil, time.Hour)
	flush(t, w)
	hung.Stall()
	w.Set(key, []byte("2"), time.Hour)
	started := time.Now()
	w.Publish(k.Channel("a"), []byte("flag"), time.Hour)
	for {
		msg, err := sub.ReceiveMessage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if msg.Payload == "flag" {
			break
		}
	}
	t.Logf("heard after %v", time.Since(started))
	redistest.Await(t, "none to wait but the one for the node that hangs", func() bool { return m.Counts().Waiting == 1 })
	hung.Continue()
	flush(t, w)
	equal(t, "the value", hung.Do("GET", key), "2")
}

// TestClusterRestart: one node that has lost what it had is noticed, also if it is not the one with the fleet's slot; and the clock is one
// node's.
func TestClusterRestart(t *testing.T) {
	c := redistest.StartCluster(t, redistest.Options{})
	p, m := present(t, "a", "1", clustered(c))
	beat(t, p)
	beat(t, p)
	if isLost(p) {
		t.Error("lost at the beginning")
	}
	if err := p.clock.Ask(t.Context()); err != nil {
		t.Error(err)
	}
	for i, n := range c.Nodes {
		n.Kill()
		n.Restart()
		redistest.Await(t, fmt.Sprint("the loss of node ", i), func() bool { _ = p.beat(context.Background()); return isLost(p) })
	}
	if k := m.Counts(); k.Lost < 3 || k.Namesakes != 0 {
		t.Errorf("%+v", k)
	}
}

// TestLinkToACluster has two gateways that hear each other.
func TestLinkToACluster(t *testing.T) {
	c := redistest.StartCluster(t, redistest.Options{})
	a, b := linked(t, "a", clustered(c)), linked(t, "b", clustered(c))
	a.Writer.Publish(keysOf("f").Channel("a"), []byte("flag"), time.Minute)
	equal(t, "heard", hear(t, b.Subscriber), "{a [102 108 97 103]}")
	redistest.Await(t, "b's greeting", func() bool {
		isHeard := false
		a.Reader.roster.each(time.Now(), func(string, time.Time) { isHeard = true })
		return isHeard
	})
	for _, l := range []*Link{a, b} {
		redistest.Await(t, "both in the list", func() bool {
			seen, _, err := l.Reader.Gateways(t.Context())
			return err == nil && len(seen) == 2
		})
		redistest.Await(t, "all counts", func() bool {
			k := l.Counts()
			return k.Up && k.ClockKnown && k.Gateways == 2 && k.Connected == 1 && k.Commands > 0
		})
		equal(t, "error", l.Counts().LastError, "")
	}
}
