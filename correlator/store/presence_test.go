//go:build linux

package store

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	redistest "fivetuple/examples/redis"
)

// present returns the presence of a gateway of the fleet f, whose beats are the test's.
func present(t *testing.T, gateway, instance string, change func(*Options)) (*Presence, *Meter) {
	t.Helper()
	m := new(Meter)
	c := connect(t, m, change)
	who := Who{
		Value:  func() []byte { return []byte(instance) },
		IsOurs: func(value []byte) bool { return bytes.Equal(value, []byte(instance)) },
	}
	return newPresence(c, m, keysOf("f"), gateway, who, NewClock(c, m, keysOf("f"))), m
}

func beat(t *testing.T, p *Presence) {
	t.Helper()
	if err := p.beat(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func isLost(p *Presence) bool {
	select {
	case <-p.Lost():
		p.told = time.Time{} // as if it were long ago
		return true
	default:
		return false
	}
}

func TestPresence(t *testing.T) {
	s := redistest.Start(t, redistest.Options{})
	p, m := present(t, "a", "1", single(s))
	list := keysOf("f").Gateways()
	s.Do("ZADD", list, time.Now().Add(-25*time.Hour).UnixMilli(), "gone", time.Now().Add(2*time.Hour).UnixMilli(), "never", "+inf", "always")
	for range 3 {
		beat(t, p)
	}
	equal(t, "who", s.Do("GET", keysOf("f").Who("a")), "1")
	equal(t, "gateways", s.Do("ZRANGE", list, 0, -1), "[a]")
	at := s.Admin().ZScore(t.Context(), list, "a").Val()
	if d := time.Since(time.UnixMilli(int64(at))); d < 0 || d > time.Minute {
		t.Errorf("there %v ago", d)
	}
	equal(t, "keys", ttls(t, s), fmt.Sprint([]string{list, keysOf("f").Who("a")}))
	if left := s.Admin().PTTL(t.Context(), keysOf("f").Who("a")).Val(); left > whoFor {
		t.Errorf("it is there for %v", left)
	}
	if c := m.Counts(); isLost(p) || c.Lost != 0 || c.Namesakes != 0 || !c.Up {
		t.Errorf("%+v", c)
	}
	for i := range MaxGateways + 10 {
		s.Admin().ZAdd(t.Context(), list, redis.Z{Score: float64(time.Now().UnixMilli()), Member: fmt.Sprint("g", i)})
	}
	p.beats = tidyEvery
	beat(t, p)
	equal(t, "gateways", s.Do("ZCARD", list), MaxGateways)
}

// TestLost: each of these says that what was written has to be written again.
func TestLost(t *testing.T) {
	s := redistest.Start(t, redistest.Options{})
	p, m := present(t, "a", "1", single(s))
	list, who := keysOf("f").Gateways(), keysOf("f").Who("a")
	beat(t, p)
	for name, lose := range map[string]func(){
		"restarted":   func() { s.Kill(); s.Restart() },
		"key evicted": func() { s.Do("DEL", who) },
		"restarted, but what it had is there": func() {
			s.Shutdown()
			s.Restart()
			s.Do("SET", who, "1", "EX", 30)
			s.Do("ZADD", list, 1, "a")
		},
	} {
		lose()
		for p.beat(t.Context()) != nil { // a connection that was closed
		}
		if !isLost(p) {
			t.Error(name, "is not noticed")
		}
		beat(t, p)
		if isLost(p) {
			t.Error(name, "is told twice")
		}
	}
	equal(t, "times", m.Counts().Lost, 3)
	s.Do("DEL", list)
	beat(t, p)
	if isLost(p) {
		t.Error("another gateway can make this one write everything anew")
	}

	p.told = time.Now()
	s.Do("DEL", who)
	beat(t, p)
	beat(t, p)
	if isLost(p) {
		t.Error("it is told more often than every 30 s")
	}
	p.told = time.Now().Add(-lostEvery)
	beat(t, p)
	if !isLost(p) {
		t.Error("it is never told")
	}
	p.reached = time.Now().Add(-whoFor) // stopped for so long that the key's time was over
	s.Do("DEL", who)
	beat(t, p)
	if isLost(p) {
		t.Error("a key whose time is over is no loss")
	}
}

func TestNamesake(t *testing.T) {
	s := redistest.Start(t, redistest.Options{})
	old, oldMeter := present(t, "a", "1", single(s))
	beat(t, old)
	beat(t, old)
	heir, meter := present(t, "a", "2", single(s))
	beat(t, heir) // takes over
	beat(t, old)  // once more, while it ends
	beat(t, heir)
	beat(t, heir)
	if meter.Counts().NamesakeThere || oldMeter.Counts().NamesakeThere {
		t.Error("a process that takes over is no namesake")
	}
	for range 2 {
		beat(t, old)
		beat(t, heir)
	}
	for _, m := range []*Meter{meter, oldMeter} {
		if c := m.Counts(); !c.NamesakeThere || c.Namesakes != 1 {
			t.Errorf("%+v", c)
		}
	}
	for range namesakeBeats {
		beat(t, heir)
	}
	if c := meter.Counts(); c.NamesakeThere || c.Namesakes != 1 {
		t.Errorf("gone: %+v", c)
	}
	other, otherMeter := present(t, "b", "3", single(s))
	for range 5 {
		beat(t, other)
		beat(t, heir)
	}
	if otherMeter.Counts().NamesakeThere {
		t.Error("another name is no namesake")
	}
}

// TestPresenceWithoutRights works without INFO, and says so.
func TestPresenceWithoutRights(t *testing.T) {
	s := redistest.Start(t, redistest.Options{ACL: "user default on nopass ~* &* +@all -info\n"})
	p, m := present(t, "a", "1", single(s))
	beat(t, p)
	beat(t, p)
	if c := m.Counts(); !c.Up || !strings.Contains(c.LastError, "NOPERM") || isLost(p) {
		t.Errorf("%+v", c)
	}
}

// TestErrorOfATransaction: the meter has the error that made the server refuse a transaction, not the EXECABORT that follows it.
func TestErrorOfATransaction(t *testing.T) {
	unsavable := filepath.Join(t.TempDir(), "gone")
	if err := os.Mkdir(unsavable, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		options redistest.Options
		fail    func(*redistest.Server)
		want    string
	}{
		"a snapshot failed": {
			redistest.Options{Config: []string{"save 3600 1000000", "dir " + unsavable}},
			func(s *redistest.Server) {
				if err := os.Remove(unsavable); err != nil {
					t.Fatal(err)
				}
				s.Do("BGSAVE")
				redistest.Await(t, "a failed snapshot", func() bool {
					return strings.Contains(s.Do("INFO", "persistence").(string), "rdb_last_bgsave_status:err")
				})
			}, "MISCONF",
		},
		"no memory":       {redistest.Options{}, func(s *redistest.Server) { s.Set("maxmemory", "1") }, "OOM"},
		"a replica":       {redistest.Options{}, func(s *redistest.Server) { s.Do("REPLICAOF", "127.0.0.1", "1") }, "READONLY"},
		"too few of them": {redistest.Options{}, func(s *redistest.Server) { s.Set("min-replicas-to-write", "1") }, "NOREPLICAS"},
		"no right":        {redistest.Options{ACL: "user default on nopass ~* &* +@all -zadd -hset\n"}, func(*redistest.Server) {}, "NOPERM"},
	} {
		t.Run(name, func(t *testing.T) {
			s := redistest.Start(t, c.options)
			c.fail(s)
			p, beats := present(t, "a", "1", single(s))
			if err := p.beat(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("a beat: %v", err)
			}
			if c := beats.Counts(); c.Up {
				t.Errorf("a beat that was refused: %+v", c)
			}
			w, writes := writing(t, single(s))
			w.HSet("h", "f", nil, time.Hour)
			redistest.Await(t, "an answer", func() bool { return writes.Counts().LastError != "" })
			for _, m := range []*Meter{beats, writes} {
				if got := m.Counts().LastError; !strings.HasPrefix(got, c.want+" ") {
					t.Errorf("the last error is %q, want %s", got, c.want)
				}
			}
		})
	}
}
