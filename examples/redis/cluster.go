//go:build linux

package redistest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// slots is how many slots a Cluster has.
const slots = 16384

// Cluster is three primaries with a third of the slots each, and no replicas.
type Cluster struct {
	Nodes []*Server

	t testing.TB
}

// StartCluster starts three nodes and waits until each of them sees all slots served. Options are those of each.
func StartCluster(t testing.TB, o Options) *Cluster {
	t.Helper()
	c := &Cluster{t: t}
	common := append(slices.Clip(o.Config),
		"cluster-enabled yes", "cluster-config-file nodes.conf", "cluster-node-timeout 2000")
	for range 3 {
		host := o.Host
		if host == "" {
			host = "127.0.0.1"
		}
		o.Config = append(slices.Clip(common), fmt.Sprintf("cluster-port %d", freePort(t, o.In, host)))
		c.Nodes = append(c.Nodes, Start(t, o))
	}
	for i, n := range c.Nodes {
		n.Do("CLUSTER", "SET-CONFIG-EPOCH", i+1)
		n.Do("CLUSTER", "ADDSLOTSRANGE", i*slots/3, (i+1)*slots/3-1)
		if i > 0 {
			first := c.Nodes[0]
			n.Do("CLUSTER", "MEET", first.options.Host, first.port, busPort(first))
		}
	}
	c.AwaitServed()
	return c
}

// busPort is the one that StartCluster has given last.
func busPort(s *Server) string {
	last := s.options.Config[len(s.options.Config)-1]
	return strings.TrimPrefix(last, "cluster-port ")
}

// AwaitServed returns when each node sees every slot served by one of three nodes, and none of them missing.
func (c *Cluster) AwaitServed() {
	c.t.Helper()
	for _, n := range c.Nodes {
		Await(c.t, "the cluster, seen from "+n.Address(), func() bool {
			info, err := n.admin.ClusterInfo(context.Background()).Result()
			nodes, nodesErr := n.admin.ClusterNodes(context.Background()).Result()
			return err == nil && nodesErr == nil && !strings.Contains(nodes, "fail") && !strings.Contains(nodes, "handshake") &&
				strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_known_nodes:3") &&
				strings.Contains(info, "cluster_slots_ok:16384")
		})
	}
}

// Addresses are the nodes', for a client.
func (c *Cluster) Addresses() []string { return addresses(c.Nodes) }

// Slot returns the slot of a key.
func (c *Cluster) Slot(key string) int64 {
	c.t.Helper()
	slot, err := c.Nodes[0].admin.ClusterKeySlot(c.t.Context(), key).Result()
	if err != nil {
		c.t.Fatal(err)
	}
	return slot
}

// Owner returns the node that serves a slot, by the first node's view.
func (c *Cluster) Owner(slot int64) *Server {
	c.t.Helper()
	shards, err := c.Nodes[0].admin.ClusterShards(c.t.Context()).Result()
	if err != nil {
		c.t.Fatal(err)
	}
	serves := func(r redis.SlotRange) bool { return r.Start <= slot && slot <= r.End }
	for _, shard := range shards {
		if !slices.ContainsFunc(shard.Slots, serves) {
			continue
		}
		for _, n := range c.Nodes {
			if is := shard.Nodes[0]; is.Port == int64(n.port) || is.TLSPort == int64(n.port) {
				return n
			}
		}
	}
	c.t.Fatalf("nobody serves slot %d", slot)
	return nil
}

// Other returns a node that does not serve a slot.
func (c *Cluster) Other(slot int64) *Server {
	c.t.Helper()
	for _, n := range c.Nodes {
		if n != c.Owner(slot) {
			return n
		}
	}
	return nil
}
