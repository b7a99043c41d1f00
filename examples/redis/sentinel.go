//go:build linux

package redistest

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"
)

// Master is the name by which Sentinels know the primary.
const Master = "fivetuple"

// quorum is how many of the three Sentinels have to miss the primary.
const quorum = 2

// Sentinel is a primary with a replica, and three Sentinels that watch over them.
type Sentinel struct {
	// Servers are the two, the primary of the beginning first; Sentinels are those that watch.
	Servers, Sentinels []*Server

	t testing.TB
}

// StartSentinel starts all five and waits until they know each other. Options are those of each; the Sentinels have no users but
// the rig's and `default`, whose password is sentinelPassword: empty lets everybody in.
func StartSentinel(t testing.TB, o Options, sentinelPassword string) *Sentinel {
	t.Helper()
	// A replica logs in at its primary as the rig, and need not wait for others that want a copy, too.
	o.Config = append(slices.Clip(o.Config),
		"masteruser "+adminUser, "masterauth "+adminPassword, "repl-diskless-sync-delay 0")
	primary := Start(t, o)
	s := &Sentinel{t: t, Servers: []*Server{primary}}
	o.Config = append(slices.Clip(o.Config), fmt.Sprintf("replicaof %s %d", primary.options.Host, primary.port))
	s.Servers = append(s.Servers, Start(t, o))
	Await(t, "the replica", func() bool { return s.Servers[1].info("master_link_status") == "up" })
	for range 3 {
		s.Sentinels = append(s.Sentinels, s.watcher(o, sentinelPassword))
	}
	for i := range s.Sentinels {
		Await(t, "Sentinels that know each other", func() bool { return s.knows(i) })
	}
	return s
}

func (s *Sentinel) watcher(o Options, password string) *Server {
	primary := s.Servers[0]
	o.ACL = ""
	o.Config = []string{
		fmt.Sprintf("sentinel monitor %s %s %d %d", Master, primary.options.Host, primary.port, quorum),
		"sentinel auth-user " + Master + " " + adminUser, "sentinel auth-pass " + Master + " " + adminPassword,
		"sentinel down-after-milliseconds " + Master + " 500", "sentinel failover-timeout " + Master + " 1000",
		"sentinel sentinel-user " + adminUser, "sentinel sentinel-pass " + adminPassword,
	}
	if password != "" {
		o.ACL = "user default on >" + password + " ~* &* +@all\n"
	}
	return start(s.t, o, []string{look(s.t, "redis-server"), "--sentinel"})
}

// knows says whether a Sentinel sees the replica and the two others.
func (s *Sentinel) knows(i int) bool {
	state, err := s.state(i)
	return err == nil && state["num-slaves"] == "1" && state["num-other-sentinels"] == "2" && state["flags"] == "master"
}

func (s *Sentinel) state(i int) (map[string]string, error) {
	cmd := redis.NewMapStringStringCmd(context.Background(), "SENTINEL", "MASTER", Master)
	if err := s.Sentinels[i].admin.Process(context.Background(), cmd); err != nil {
		return nil, err
	}
	return cmd.Result()
}

// Addresses are the Sentinels', for a client.
func (s *Sentinel) Addresses() []string { return addresses(s.Sentinels) }

// Primary returns the server that takes writes, as most Sentinels see it; nil while they do not agree.
func (s *Sentinel) Primary() *Server {
	votes := map[string]int{}
	for i := range s.Sentinels {
		if state, err := s.state(i); err == nil {
			votes[state["port"]]++
		}
	}
	for _, server := range s.Servers {
		if votes[fmt.Sprint(server.port)] >= quorum {
			return server
		}
	}
	return nil
}

// Failover has the replica take over, in order, and returns when it has.
func (s *Sentinel) Failover() {
	s.t.Helper()
	was := s.Primary()
	s.Sentinels[0].Do("SENTINEL", "FAILOVER", Master)
	s.AwaitFailover(was)
}

// AwaitFailover returns when another server than the one that was the primary is, and says so itself.
func (s *Sentinel) AwaitFailover(was *Server) {
	s.t.Helper()
	Await(s.t, "a failover", func() bool {
		is := s.Primary()
		return is != nil && is != was && is.info("role") == "master"
	})
}

// info returns one field of INFO; "" where there is no answer.
func (s *Server) info(field string) string {
	text, err := s.admin.InfoMap(context.Background(), "replication").Result()
	if err != nil {
		return ""
	}
	return text["Replication"][field]
}

func addresses(servers []*Server) []string {
	var all []string
	for _, s := range servers {
		all = append(all, s.Address())
	}
	return all
}
