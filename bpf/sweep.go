package bpf

import (
	"errors"
	"fmt"
	"math"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"

	"fivetuple/correlator/flow"
)

// halfOpenLife is how long a handshake may take: Linux gives up a SYN after 127 s (tcp(7), tcp_syn_retries).
const halfOpenLife = 3 * time.Minute

// promotedLife is how long a half-open entry stays that has moved to the flow table: a writer may be waiting for its lock.
const promotedLife = time.Second

// sweepBatch is how many entries are read at once.
const sweepBatch = 512

// Swept is what a sweep found and did.
type Swept struct {
	Entries [flow.Tables]uint32 // left
	Evicted [flow.Tables]uint64 // since the tables were made
	Removed int
}

// ages say how long entries stay: after their last packet, and after their end.
type ages struct{ silent, ended time.Duration }

// sweep removes closed and silent entries, and counts those that stay. Nothing else ever removes one of the flow table's.
func (t *tables) sweep(o SweepOptions, now uint64) (Swept, error) {
	counts, err := readTableCounts(t.Counts) // before the entries: one that comes meanwhile is no eviction
	if err != nil {
		return Swept{}, err
	}
	s := sweeper{tables: t, now: now}
	errs := []error{
		sweepTable(&s, t.Flows, flow.TableFlows, ages{o.Idle, o.Closed}, func(r *flow.Record) *flow.Conn { return &r.Conn }),
		sweepTable(&s, t.HalfOpen, flow.TableHalfOpen, ages{halfOpenLife, promotedLife}, func(h *flow.Handshake) *flow.Conn { return &h.Conn }),
		sweepTable(&s, t.UDP, flow.TableUDP, ages{o.Idle, o.Idle}, func(c *flow.Conn) *flow.Conn { return c }),
		countEntries[[16]byte, flow.Source](&s, t.Sources, flow.TableSources),
		countEntries[flow.Key, flow.Holes](&s, t.Holes, flow.TableHoles),
	}
	for table := range counts {
		s.Evicted[table] = counts[table].Evicted(uint64(s.Entries[table]) + uint64(s.removed[table]))
	}
	return s.Swept, errors.Join(errs...)
}

// sweeper is one sweep under way.
type sweeper struct {
	*tables
	Swept
	removed [flow.Tables]uint32
	now     uint64
}

// sweepTable asks the program to remove each entry that is to go: it looks again, under the entry's lock.
func sweepTable[V any](s *sweeper, m *ebpf.Map, table int, life ages, conn func(*V) *flow.Conn) error {
	ask := removal{Table: uint32(table), SilentSince: before(s.now, life.silent), EndedSince: before(s.now, life.ended)}
	return eachEntry(m, func(key flow.Key, value *V) error {
		s.Entries[table]++
		if c := conn(value); c.Lock&1 != 0 || !ask.fits(c) {
			return nil
		}
		ask.Key = key
		gone, err := s.remove(&ask)
		if gone {
			s.Entries[table]--
			s.removed[table]++
			s.Removed++
		}
		return err
	})
}

// before returns the time of that long ago; 0 if there was none.
func before(now uint64, age time.Duration) uint64 {
	if now < uint64(age) {
		return 0
	}
	return now - uint64(age)
}

func countEntries[K, V any](s *sweeper, m *ebpf.Map, table int) error {
	return eachEntry(m, func(K, *V) error {
		s.Entries[table]++
		return nil
	})
}

// removal asks the program for an entry's removal: struct removal in bpf/remove.h.
type removal struct {
	Key         flow.Key
	SilentSince uint64
	EndedSince  uint64
	Table       uint32
	Pad         uint32
}

// fits says whether the entry is to go, as far as its copy tells.
func (a *removal) fits(c *flow.Conn) bool {
	ended := c.State == flow.StateClosed || c.State == flow.StatePromoted
	return c.Last < a.SilentSince || ended && c.Last < a.EndedSince
}

// etherTypeLocal keeps the kernel's test run from taking the question for an IP packet (IEEE 802, local experimental).
const etherTypeLocal = 0x88b5

// remove returns whether the entry went.
func (t *tables) remove(ask *removal) (bool, error) {
	frame := make([]byte, 14, 14+unsafe.Sizeof(*ask))
	frame[12], frame[13] = etherTypeLocal>>8, etherTypeLocal&0xff
	frame = append(frame, unsafe.Slice((*byte)(unsafe.Pointer(ask)), unsafe.Sizeof(*ask))...)
	gone, err := t.Remove.Run(&ebpf.RunOptions{Data: frame})
	if err != nil {
		return false, fmt.Errorf("remove entry: %w", err)
	}
	return gone == 1, nil
}

// readTableCounts sums the counts over all CPUs.
func readTableCounts(m *ebpf.Map) (sums [flow.Tables]flow.TableCounts, err error) {
	for table := range sums {
		var perCPU []flow.TableCounts
		if err := m.Lookup(uint32(table), &perCPU); err != nil {
			return sums, fmt.Errorf("read counts of table %s: %w", flow.TableName(table), err)
		}
		for _, c := range perCPU {
			sums[table].Inserted += c.Inserted
			sums[table].Refused += c.Refused
			sums[table].Removed += c.Removed
		}
	}
	return sums, nil
}

// eachEntry calls a function for every entry of a table, until it fails.
func eachEntry[K, V any](m *ebpf.Map, take func(K, *V) error) error {
	_, err := newSlice[K, V](sweepBatch).read(m, math.MaxInt, take)
	return err
}
