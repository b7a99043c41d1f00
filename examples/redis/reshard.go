//go:build linux

package redistest

// moved is how many keys one MIGRATE moves.
const moved = 100

// Reshard moves a slot to another node, as redis-cli does. What is asked of the slot in between is called twice, or not if it is
// nil: when the slot is about to move (a key that is not there is answered with ASK), and when its keys have moved but not all
// nodes know it (MOVED).
func (c *Cluster) Reshard(slot int64, between func()) {
	c.t.Helper()
	if between == nil {
		between = func() {}
	}
	from, to := c.Owner(slot), c.Other(slot)
	fromID, toID := from.Do("CLUSTER", "MYID"), to.Do("CLUSTER", "MYID")
	to.Do("CLUSTER", "SETSLOT", slot, "IMPORTING", fromID)
	from.Do("CLUSTER", "SETSLOT", slot, "MIGRATING", toID)
	between()
	for c.migrate(from, to, slot) {
	}
	to.Do("CLUSTER", "SETSLOT", slot, "NODE", toID)
	from.Do("CLUSTER", "SETSLOT", slot, "NODE", toID)
	between()
	for _, n := range c.Nodes {
		n.Do("CLUSTER", "SETSLOT", slot, "NODE", toID)
	}
	Await(c.t, "the slot's new owner", func() bool { return c.Owner(slot) == to })
}

// migrate says whether there may be more.
func (c *Cluster) migrate(from, to *Server, slot int64) bool {
	c.t.Helper()
	keys, err := from.admin.ClusterGetKeysInSlot(c.t.Context(), int(slot), moved).Result()
	if err != nil {
		c.t.Fatal(err)
	}
	if len(keys) == 0 {
		return false
	}
	args := []any{
		"MIGRATE", to.options.Host, to.port, "", 0, patience.Milliseconds(), "REPLACE", "AUTH2", adminUser, adminPassword, "KEYS",
	}
	for _, k := range keys {
		args = append(args, k)
	}
	from.Do(args...)
	return true
}
