package stack_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	redistest "fivetuple/examples/redis"
	"fivetuple/examples/stack"
)

const (
	// stallTime is how long a Redis that has stopped to answer stays so.
	stallTime = 30 * time.Second
	// redisTimeout is the setting redis.timeout: a call that waited for Redis would have taken so long.
	redisTimeout = time.Second
	// calmTime is how long calls are watched before and after a fault.
	calmTime = time.Second
)

// redisFault is something that happens to Redis.
type redisFault struct {
	name string
	// begin brings it about, and end mends it.
	begin, end func()
	// tells are counters of which at least one has to move, or the gauge that says that Redis is not to be used.
	tells []string
	lasts time.Duration // at least
}

// redisDown is told by a gauge, not by a counter.
const redisDown = "redis_up = 0"

// faultTable runs faults on a gateway that shares and beside one that does not, and prints what became of the calls of both.
type faultTable struct {
	sideBySide
	ctx   context.Context
	with  *member
	there func() bool // what the gateway tells of itself is in Redis
	rows  []string
}

func newFaultTable(t *testing.T, redis map[string]any, there func() bool) *faultTable {
	t.Helper()
	f := &faultTable{there: there}
	f.ctx, f.with = join(t, "gw-a", redis, "enforce")
	_, without := start(t, stack.Options{Metrics: freeAddress(t), Settings: map[string]any{"baseline": map[string]any{"file": "", "min_calls": 40, "window": "2s"}}})
	f.sideBySide = sideBySide{t: t, stacks: [2]*stack.Stack{f.with.Stack, without}}
	redistest.Await(t, "a gateway that is in Redis", there)
	return f
}

// run makes calls of both gateways before, during and after a fault.
func (f *faultTable) run(fault redisFault) {
	f.t.Helper()
	before := scrape(f.t, f.with.metrics)
	told, healed := "", time.Duration(0)
	took, failed := f.during(f.ctx, func() error {
		pause(f.ctx, calmTime)
		began := time.Now()
		fault.begin()
		redistest.Await(f.t, fault.name+" is told", func() bool {
			told = f.told(before, fault.tells)
			return told != ""
		})
		pause(f.ctx, fault.lasts-time.Since(began))
		fault.end()
		ended := time.Now()
		redistest.Await(f.t, "a gateway that has healed after "+fault.name, func() bool {
			return scrape(f.t, f.with.metrics)["fivetuple_redis_up"] == 1 && f.there()
		})
		healed = time.Since(ended)
		pause(f.ctx, calmTime)
		return nil
	})
	for i, sorted := range took {
		if slowest := quantile(sorted, 1); i == 0 && slowest >= redisTimeout && quantile(took[1], 1) < redisTimeout {
			f.t.Errorf("%s: a call took %v, as if it had waited for Redis", fault.name, slowest)
		}
	}
	f.rows = append(f.rows, fmt.Sprintf("%-18s %6d %6d  %2d/%-2d  %6s %6s %5.2f  %6s %6s  %8s  %s: %s", fault.name, len(took[0]), len(took[1]),
		failed[0], failed[1], ms(quantile(took[0], 0.5)), ms(quantile(took[1], 0.5)),
		float64(quantile(took[0], 0.5))/float64(quantile(took[1], 0.5)), ms(quantile(took[0], 0.99)), ms(quantile(took[1], 0.99)),
		healed.Round(time.Millisecond), told, countersOf(before, scrape(f.t, f.with.metrics), "fivetuple_redis_")))
}

// told returns what tells of a fault; "" if nothing does yet.
func (f *faultTable) told(before map[string]float64, tells []string) string {
	now := scrape(f.t, f.with.metrics)
	for _, what := range tells {
		if what == redisDown && now["fivetuple_redis_up"] == 0 || what != redisDown && now["fivetuple_redis_"+what] > before["fivetuple_redis_"+what] {
			return what
		}
	}
	return ""
}

func (f *faultTable) print() {
	f.t.Helper()
	f.t.Logf("calls with Redis and without, in turn, before, during and after a fault of Redis; times in ms\n%-18s %6s %6s  %5s  %6s %6s %5s  %6s %6s  %8s  %s\n%s",
		"FAULT", "WITH", "W/OUT", "FAILED", "P50", "W/OUT", "RATIO", "P99", "W/OUT", "HEALED", "TOLD BY: COUNTERS", strings.Join(f.rows, "\n"))
}

func ms(d time.Duration) string { return fmt.Sprintf("%.2f", d.Seconds()*1000) }

// openTo lets others than the owner into a folder of the test, and read a file in it: the runner is nobody.
func openTo(t *testing.T, file string) {
	t.Helper()
	dir := filepath.Dir(file)
	for path, mode := range map[string]os.FileMode{filepath.Dir(dir): 0o755, dir: 0o755, file: 0o644} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
}

// isThere says whether a server has what the gateway says of itself.
func isThere(s *redistest.Server) bool {
	n, err := s.Admin().Exists(context.Background(), whoKey).Result()
	return err == nil && n == 1
}

const whoKey = "fivetuple:{test}:gw:gw-a:who"

// TestFaultRedis: whatever becomes of Redis, no call fails or waits for it, the counters tell, and it heals by itself.
func TestFaultRedis(t *testing.T) {
	const secret = "f7c1e9"
	right, wrong := "user gw on >"+secret+" ~* &* +@all\nuser default off\n", "user gw on >other ~* &* +@all\nuser default off\n"
	certificates := redistest.NewCertificates(t)
	openTo(t, certificates.CA)
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte(secret), 0o644); err != nil {
		t.Fatal(err)
	}
	openTo(t, password)
	server := redistest.Start(t, redistest.Options{ACL: right, TLS: certificates})
	f := newFaultTable(t, map[string]any{
		"addresses": []string{server.Address()}, "username": "gw", "password_file": password, "timeout": redisTimeout.String(),
		"tls": map[string]any{"enabled": true, "ca_file": certificates.CA},
	}, func() bool { return isThere(server) })
	defer f.print()
	var heal func()
	for _, fault := range []redisFault{
		{"none", func() {}, func() {}, []string{"writes_sent_total"}, 0},
		{"stopped", server.Shutdown, server.Restart, []string{redisDown}, 0},
		{"SIGKILL", server.Kill, server.Restart, []string{redisDown}, 0},
		{"restarted empty", func() { server.Kill(); server.Restart() }, func() {}, []string{"state_lost_total"}, 0},
		{"partition", func() { heal = server.Drop("lo") }, func() { heal() }, []string{redisDown}, 0},
		{"stalled", server.Stall, server.Continue, []string{redisDown}, stallTime},
		{"out of memory", func() { server.Set("maxmemory", "1") }, func() { server.Set("maxmemory", "0") }, []string{"writes_retried_total"}, 0},
		{"evicting", func() { evict(server) }, func() {
			server.Set("maxmemory", "0")
			server.Do("FLUSHALL")
		}, []string{"state_lost_total"}, 0},
		{"wrong password", func() { server.SetACL(wrong); server.Disconnect() }, func() { server.SetACL(right) }, []string{redisDown}, 0},
		{"expired certificate", func() {
			certificates.Renew(-time.Minute)
			server.ReloadTLS()
			server.Disconnect()
		}, func() {
			certificates.Renew(time.Hour)
			server.ReloadTLS()
		}, []string{redisDown}, 0},
		{
			"read-only replica", func() { server.Do("REPLICAOF", "127.0.0.1", "1") }, func() { server.Do("REPLICAOF", "NO", "ONE") },
			[]string{"writes_retried_total"},
			0,
		},
	} {
		f.run(fault)
	}
}

// evict fills a server that makes room by evicting whatever is there, until the gateway's own key is gone.
func evict(s *redistest.Server) {
	s.Set("maxmemory-policy", "allkeys-random")
	s.Set("maxmemory", "4mb")
	for i := 0; i < 10_000 && isThere(s); i++ {
		s.Do("SET", fmt.Sprint("junk-", i), strings.Repeat("x", 64<<10))
	}
}

// TestFaultRedisFailover: another server takes the place of the primary.
func TestFaultRedisFailover(t *testing.T) {
	s := redistest.StartSentinel(t, redistest.Options{}, "")
	f := newFaultTable(t, map[string]any{"mode": "sentinel", "master": redistest.Master, "addresses": s.Addresses(), "timeout": redisTimeout.String()},
		func() bool { return isThere(s.Primary()) })
	defer f.print()
	f.run(redisFault{"failed over", s.Failover, func() {}, []string{"state_lost_total", redisDown}, 0})
	was := s.Primary()
	f.run(redisFault{"primary killed", was.Kill, func() { s.AwaitFailover(was) }, []string{redisDown, "state_lost_total"}, 0})
}

// TestFaultRedisReshard: slots move while they are written to.
func TestFaultRedisReshard(t *testing.T) {
	c := redistest.StartCluster(t, redistest.Options{})
	slot := c.Slot(whoKey)
	f := newFaultTable(t, map[string]any{"mode": "cluster", "addresses": c.Addresses(), "timeout": redisTimeout.String()},
		func() bool { return isThere(c.Owner(slot)) })
	defer f.print()
	f.run(redisFault{"resharded", func() {
		for range 3 {
			c.Reshard(slot, func() { pause(f.ctx, time.Second) })
		}
	}, func() {}, []string{"writes_sent_total"}, 0})
}
