//go:build linux

package store

import (
	"fmt"
	"testing"
	"time"

	redistest "fivetuple/examples/redis"
)

// hearing returns a Subscriber of the fleet f that runs, as the gateway "self".
func hearing(t *testing.T, change func(*Options), adapt func(*Subscriber)) (*Subscriber, *Meter) {
	t.Helper()
	m := new(Meter)
	s := newSubscriber(connect(t, m, change), m, keysOf("f"), "self", new(roster))
	adapt(s)
	running(t, s.Run)
	return s, m
}

func asIs(*Subscriber) {}

// again waits until the Subscriber says that everything has to be read.
func token(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(30 * time.Second):
		t.Fatalf("await %s: not within 30 s", what)
	}
}

func hear(t *testing.T, s *Subscriber) Heard {
	t.Helper()
	select {
	case h := <-s.Heard():
		return h
	case <-time.After(30 * time.Second):
		t.Fatal("nothing was heard within 30 s")
		return Heard{}
	}
}

func TestSubscriberHearsTheOthers(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	s, m := hearing(t, single(server), asIs)
	token(t, "the subscription", s.Again())
	k := keysOf("f")
	server.Do("PUBLISH", k.Channel("self"), "own")
	server.Do("PUBLISH", k.Channel("not:a:name"), "x")
	server.Do("PUBLISH", keysOf("g").Channel("a"), "another fleet's")
	server.Do("PUBLISH", k.Channel("a"), make([]byte, MaxValue+1))
	server.Do("PUBLISH", k.Channel("a"), "1")
	server.Do("PUBLISH", k.Channel("b"), "2")
	for _, want := range []string{"{a [49]}", "{b [50]}"} {
		equal(t, "heard", hear(t, s), want)
	}
	c := m.Counts()
	equal(t, "heard, skipped, connected", []any{c.Heard, c.Skipped, c.Connected}, "[2 [1 1 0 0 0 0] 1]")
	seen := map[string]bool{}
	s.roster.each(time.Now(), func(gateway string, _ time.Time) { seen[gateway] = true })
	equal(t, "gateways", seen, "map[a:true b:true]")
	s.roster.each(time.Now().Add(2*heardFor), func(string, time.Time) { t.Error("is there for ever") })
}

func TestSubscriberComesBack(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	s, m := hearing(t, single(server), func(s *Subscriber) { s.pingEvery = 50 * time.Millisecond })
	token(t, "the subscription", s.Again())
	for i, fault := range []func(){
		server.Disconnect,
		s.Reconnect,
		func() { server.Kill(); server.Restart() },
		func() { // nothing comes, and the connection stays
			server.Stall()
			redistest.Await(t, "an error", func() bool { return !m.Counts().Up })
			server.Continue()
		},
	} {
		fault()
		token(t, fmt.Sprint("the subscription after fault ", i), s.Again())
		server.Do("PUBLISH", keysOf("f").Channel("a"), fmt.Sprint(i))
		equal(t, "heard", string(hear(t, s).Payload), i)
	}
	redistest.Await(t, "being up", func() bool { return m.Counts().Up })
	if n := m.Counts().Connected; n < 5 {
		t.Errorf("%d subscriptions", n)
	}
}

// TestSubscriberDropsWhatNobodyTakes: of one gateway 16 messages wait, whatever it says, and those of the others as well; what is left
// out is counted, and it is said of whom.
func TestSubscriberDropsWhatNobodyTakes(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	s, m := hearing(t, single(server), asIs)
	token(t, "the subscription", s.Again())
	const n = maxHeard + 10
	for range n {
		server.Do("PUBLISH", keysOf("f").Channel("flood"), "1")
	}
	server.Do("PUBLISH", keysOf("f").Channel("a"), "2")
	redistest.Await(t, "all", func() bool { c := m.Counts(); return c.Heard+c.Unheard == n+1 })
	equal(t, "left out", m.Counts().Unheard, n-maxHeardOf)
	equal(t, "of", s.Missed(), "[flood]")
	equal(t, "since then", s.Missed(), "[]")
	for range maxHeardOf {
		equal(t, "heard", hear(t, s), "{flood [49]}")
	}
	equal(t, "heard", hear(t, s), "{a [50]}")
	server.Do("PUBLISH", keysOf("f").Channel("flood"), "3")
	equal(t, "heard, now that there is room", hear(t, s), "{flood [51]}")
	select {
	case <-s.Again():
		t.Error("all lists are to be read for a flood of one gateway")
	default:
	}
}

func TestRosterIsBounded(t *testing.T) {
	r, now := new(roster), time.Now()
	for i := range 2 * MaxGateways {
		r.hear(fmt.Sprint(i), now)
	}
	equal(t, "gateways", len(r.heard), MaxGateways)
}
