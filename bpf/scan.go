package bpf

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"fivetuple/correlator/flow"
)

// Scanner reads the tables in slices, for whoever watches them. It belongs to one goroutine. An entry may be torn: it is
// copied once, while the program may write it. One whose lock word says so is left out. While entries come and go, one may be
// read twice in a turn, or in the next turn only.
type Scanner struct {
	tables   *tables
	flows    slice[flow.Key, flow.Record]
	halfOpen slice[flow.Key, flow.Conn]
	sources  slice[[16]byte, flow.Source]
	torn     uint64
}

// Scanner returns one over the agent's tables.
func (a *Agent) Scanner() *Scanner { return &Scanner{tables: a.tables} }

// Scanner returns one over the replay's tables.
func (r *Replay) Scanner() *Scanner { return &Scanner{tables: r.tables} }

// Flows calls a function for about as many entries of the flow table as the limit says, going on where the last call stopped.
// Done: it came to the table's end, and the next call begins anew. What the function is given is valid until it returns.
func (s *Scanner) Flows(limit int, take func(flow.Key, *flow.Record)) (done bool, err error) {
	return s.flows.read(s.tables.Flows, limit, func(k flow.Key, r *flow.Record) {
		if s.whole(&r.Conn) {
			take(k, r)
		}
	})
}

// HalfOpen is Flows for connections in their handshake.
func (s *Scanner) HalfOpen(limit int, take func(flow.Key, *flow.Conn)) (done bool, err error) {
	return s.halfOpen.read(s.tables.HalfOpen, limit, func(k flow.Key, c *flow.Conn) {
		if s.whole(c) {
			take(k, c)
		}
	})
}

// Sources is Flows for remote addresses.
func (s *Scanner) Sources(limit int, take func([16]byte, *flow.Source)) (done bool, err error) {
	return s.sources.read(s.tables.Sources, limit, take)
}

func (s *Scanner) whole(c *flow.Conn) bool {
	if c.Lock&1 != 0 {
		s.torn++
		return false
	}
	return true
}

// Torn is how many entries were left out because they were being written.
func (s *Scanner) Torn() uint64 { return s.torn }

// Reasons returns how every packet left the program.
func (s *Scanner) Reasons() (Reasons, error) { return readReasons(s.tables.Reasons) }

// TableCounts returns what happened to the tables.
func (s *Scanner) TableCounts() ([flow.Tables]flow.TableCounts, error) {
	return readTableCounts(s.tables.Counts)
}

// scanBatch is how many entries the kernel copies at once: a few MiB of records at most.
const scanBatch = 2048

// slice is where reading a table has come to.
type slice[K, V any] struct {
	keys   []K
	values []V
	cursor *ebpf.MapBatchCursor // nil: at the table's start
}

func (s *slice[K, V]) read(m *ebpf.Map, limit int, take func(K, *V)) (done bool, err error) {
	if s.keys == nil {
		s.keys, s.values = make([]K, scanBatch), make([]V, scanBatch)
	}
	for limit > 0 {
		if s.cursor == nil {
			s.cursor = new(ebpf.MapBatchCursor)
		}
		n, end := m.BatchLookup(s.cursor, s.keys, s.values, nil)
		if end != nil {
			s.cursor = nil
			if !errors.Is(end, ebpf.ErrKeyNotExist) {
				return true, fmt.Errorf("read table: %w", end)
			}
		}
		for i := range n {
			take(s.keys[i], &s.values[i])
		}
		if end != nil {
			return true, nil
		}
		limit -= n
	}
	return false, nil
}
