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
	flows    *slice[flow.Key, flow.Record]
	halfOpen *slice[flow.Key, flow.Handshake]
	sources  *slice[[16]byte, flow.Source]
	torn     uint64
}

// Scanner returns one over the agent's tables.
func (a *Agent) Scanner() *Scanner { return newScanner(a.tables) }

// Scanner returns one over the replay's tables.
func (r *Replay) Scanner() *Scanner { return newScanner(r.tables) }

func newScanner(t *tables) *Scanner {
	return &Scanner{
		tables: t, flows: newSlice[flow.Key, flow.Record](scanBatch), halfOpen: newSlice[flow.Key, flow.Handshake](scanBatch),
		sources: newSlice[[16]byte, flow.Source](scanBatch),
	}
}

// Flows calls a function for about as many entries of the flow table as the limit says, going on where the last call stopped.
// Done: it came to the table's end, and the next call begins anew. What the function is given is valid until it returns.
func (s *Scanner) Flows(limit int, take func(flow.Key, *flow.Record)) (done bool, err error) {
	return s.flows.read(s.tables.Flows, limit, func(k flow.Key, r *flow.Record) error {
		if s.whole(&r.Conn) {
			take(k, r)
		}
		return nil
	})
}

// HalfOpen is Flows for connections in their handshake.
func (s *Scanner) HalfOpen(limit int, take func(flow.Key, *flow.Conn)) (done bool, err error) {
	return s.halfOpen.read(s.tables.HalfOpen, limit, func(k flow.Key, h *flow.Handshake) error {
		if s.whole(&h.Conn) {
			take(k, &h.Conn)
		}
		return nil
	})
}

// Sources is Flows for remote addresses.
func (s *Scanner) Sources(limit int, take func([16]byte, *flow.Source)) (done bool, err error) {
	return s.sources.read(s.tables.Sources, limit, func(address [16]byte, source *flow.Source) error {
		take(address, source)
		return nil
	})
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

// Strays returns which packets came that belong to no connection's record.
func (s *Scanner) Strays() (flow.Strays, error) {
	all, err := s.Reasons()
	if err != nil {
		return flow.Strays{}, err
	}
	var strays flow.Strays
	for r, n := range all[flow.RX] {
		switch Reason(r) {
		case RecordedFlow, RecordedHalfOpen, RecordedUDP, TableFull, OtherInterface, Contended: // of a connection, or one that had no room
		case UnsolicitedSYNACK:
			strays.Unsolicited += n
		case NoConnection:
			strays.NoConnection += n
		default:
			strays.Other += n
		}
	}
	return strays, nil
}

// Verdicts calls a function for every verdict, whoever gave it.
func (s *Scanner) Verdicts(take func(flow.VerdictKey, *flow.Verdict)) error {
	return eachEntry(s.tables.Verdicts, func(k flow.VerdictKey, v *flow.Verdict) error {
		take(k, v)
		return nil
	})
}

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

func newSlice[K, V any](batch int) *slice[K, V] {
	return &slice[K, V]{keys: make([]K, batch), values: make([]V, batch)}
}

// read calls a function for about as many entries as the limit says, until it fails. Done: it came to the table's end.
func (s *slice[K, V]) read(m *ebpf.Map, limit int, take func(K, *V) error) (done bool, err error) {
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
			if err := take(s.keys[i], &s.values[i]); err != nil {
				return end != nil, err
			}
		}
		if end != nil {
			return true, nil
		}
		limit -= n
	}
	return false, nil
}
