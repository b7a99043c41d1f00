package simulated

import (
	"time"

	"fivetuple/correlator/flow"
	"fivetuple/correlator/watch"
)

// kernel are the tables that the kernel program keeps.
type kernel struct {
	flows    table[flow.Key, flow.Record]
	half     table[flow.Key, flow.Conn]
	oldest   []flow.Key // of half, the oldest first; some are gone
	sources  table[[16]byte, flow.Source]
	verdicts map[flow.VerdictKey]flow.Verdict
	counts   [flow.Tables]flow.TableCounts
	strays   flow.Strays
}

// halfOpenRoom is agent.tables.half_open: the oldest make room.
const halfOpenRoom = 16384

func newKernel() kernel {
	return kernel{
		flows: newTable[flow.Key, flow.Record](), half: newTable[flow.Key, flow.Conn](), sources: newTable[[16]byte, flow.Source](),
		verdicts: map[flow.VerdictKey]flow.Verdict{},
	}
}

// Lookup implements flow.Table.
func (k *kernel) Lookup(key flow.Key, r *flow.Record) error {
	found := k.flows.get(key)
	if found == nil {
		return flow.ErrNotFound
	}
	*r = *found
	return nil
}

// HasUDP implements flow.Table.
func (*kernel) HasUDP(flow.Key) bool { return false }

// Flows implements watch.Tables.
func (k *kernel) Flows(limit int, take func(flow.Key, *flow.Record)) (bool, error) {
	return k.flows.read(limit, take), nil
}

// HalfOpen implements watch.Tables.
func (k *kernel) HalfOpen(limit int, take func(flow.Key, *flow.Conn)) (bool, error) {
	return k.half.read(limit, take), nil
}

// Sources implements watch.Tables.
func (k *kernel) Sources(limit int, take func([16]byte, *flow.Source)) (bool, error) {
	return k.sources.read(limit, take), nil
}

// TableCounts implements watch.Tables.
func (k *kernel) TableCounts() ([flow.Tables]flow.TableCounts, error) { return k.counts, nil }

// Strays implements watch.Tables.
func (k *kernel) Strays() (flow.Strays, error) { return k.strays, nil }

// Verdicts implements watch.Tables.
func (k *kernel) Verdicts(take func(flow.VerdictKey, *flow.Verdict)) error {
	for key, v := range k.verdicts {
		take(key, &v)
	}
	return nil
}

// apply does what the agent does with what the watcher has found.
func (k *kernel) apply(changes []watch.Change) {
	for _, c := range changes {
		if c.Delete {
			delete(k.verdicts, c.Key)
		} else {
			k.verdicts[c.Key] = c.Verdict
		}
	}
}

// The agent's settings by default: agent.sweep, and bpf/sweep.go.
const (
	sweepEvery   = 5 * time.Second
	closedLife   = 10 * time.Second
	idleLife     = 30 * time.Minute
	halfOpenLife = 3 * time.Minute
	promotedLife = time.Second
)

// sweep does what the agent's does.
func (k *kernel) sweep(now uint64) {
	old := func(c *flow.Conn, ended bool, silent, closed time.Duration) bool {
		return c.Last+uint64(silent) < now || ended && c.Last+uint64(closed) < now
	}
	k.counts[flow.TableFlows].Removed += k.flows.sweep(func(r *flow.Record) bool {
		return old(&r.Conn, r.Conn.State == flow.StateClosed, idleLife, closedLife)
	})
	k.counts[flow.TableHalfOpen].Removed += k.half.sweep(func(c *flow.Conn) bool {
		return old(c, c.State == flow.StatePromoted, halfOpenLife, promotedLife)
	})
}

// begin adds an entry to the half-open table.
func (k *kernel) begin(key flow.Key, half *flow.Conn) {
	if k.half.put(key, half) {
		return
	}
	k.counts[flow.TableHalfOpen].Inserted++
	k.oldest = append(k.oldest, key)
	for len(k.half.keys) > halfOpenRoom {
		k.half.remove(k.oldest[0]) // it may be gone, or have come again: then it goes too soon
		k.oldest = k.oldest[1:]
	}
}

// source returns what is counted of an address.
func (k *kernel) source(of [16]byte, now uint64) *flow.Source {
	s := k.sources.get(of)
	if s == nil {
		s = &flow.Source{First: now}
		k.sources.put(of, s)
	}
	s.Last = now
	return s
}

var (
	_ flow.Table   = (*kernel)(nil)
	_ watch.Tables = (*kernel)(nil)
)
