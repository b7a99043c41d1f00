package bpf

import (
	"errors"
	"fmt"
	"time"

	"github.com/cilium/ebpf"

	"fivetuple/correlator/flow"
)

// halfOpenLife is how long a handshake may take: Linux gives up a SYN after 127 s (tcp(7), tcp_syn_retries).
const halfOpenLife = 3 * time.Minute

// promotedLife is how long a half-open entry stays that has moved to the flow table: a writer may be waiting for its lock.
const promotedLife = time.Second

// sweepBatch is how many entries are read at once.
const sweepBatch = 512

// Swept counts what a sweep found and removed.
type Swept struct {
	Flows, HalfOpen, UDP int // entries left
	Removed              int
}

// sweep removes closed and silent entries. Nothing else ever removes one of the flow table's.
func (t *tables) sweep(o SweepOptions, now uint64) (Swept, error) {
	var s Swept
	var errs [3]error
	s.Flows, errs[0] = sweepTable(t.Flows, &s.Removed, func(r *flow.Record) bool {
		return silent(&r.Conn, now, o.Idle) || r.Conn.State == flow.StateClosed && silent(&r.Conn, now, o.Closed)
	})
	s.HalfOpen, errs[1] = sweepTable(t.HalfOpen, &s.Removed, func(c *flow.Conn) bool {
		return silent(c, now, halfOpenLife) || c.State == flow.StatePromoted && silent(c, now, promotedLife)
	})
	s.UDP, errs[2] = sweepTable(t.UDP, &s.Removed, func(c *flow.Conn) bool { return silent(c, now, o.Idle) })
	return s, errors.Join(errs[:]...)
}

// silent says whether an entry that nobody writes has seen no packet for longer than the given time.
func silent(c *flow.Conn, now uint64, age time.Duration) bool {
	return c.Lock&1 == 0 && now > c.Last && now-c.Last > uint64(age)
}

// sweepTable removes the entries that are to go, and returns how many are left. Each gets a second look right before,
// because a new connection may have come to the same 5-tuple since the batch was read.
func sweepTable[V any](m *ebpf.Map, removed *int, goes func(*V) bool) (left int, err error) {
	keys, values := make([]flow.Key, sweepBatch), make([]V, sweepBatch)
	var cursor ebpf.MapBatchCursor
	for {
		n, err := m.BatchLookup(&cursor, keys, values, nil)
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return left, fmt.Errorf("read table: %w", err)
		}
		left += n
		for i := range n {
			var again V
			if !goes(&values[i]) || m.Lookup(&keys[i], &again) != nil || !goes(&again) {
				continue
			}
			if err := m.Delete(&keys[i]); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
				return left, fmt.Errorf("remove entry: %w", err)
			}
			*removed++
			left--
		}
		if err != nil {
			return left, nil // the table's end
		}
	}
}
