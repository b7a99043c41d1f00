package bpf

import (
	"errors"
	"fmt"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"

	"fivetuple/correlator/flow"
)

// Replay is the kernel program with tables of its own, to which packets are given one by one with their own times. It is
// attached to nothing.
type Replay struct {
	tables *tables
}

// ErrNotTaken means that the kernel does not take a packet for a test run: too short or too long for it.
var ErrNotTaken = errors.New("not taken by the kernel's test run")

// NewReplay loads the program with room for a number of flows.
func NewReplay(flows int) (*Replay, error) {
	if err := rlimit.RemoveMemlock(); err != nil {
		return nil, explain(fmt.Errorf("lift the limit of locked memory: %w", err))
	}
	room := uint32(max(minEntries, min(flows, maxEntries/4)*2))
	spec, err := configure(Options{
		Tables: TableOptions{Flows: room, HalfOpen: 2 * room, UDP: 2 * room}, Midstream: MidstreamAny,
	})
	if err != nil {
		return nil, err
	}
	if err := spec.Variables[fivetupleVarClockFromSkb].Set(true); err != nil {
		return nil, fmt.Errorf("set the clock: %w", err)
	}
	t, err := load(spec, nil)
	if err != nil {
		return nil, err
	}
	return &Replay{tables: t}, nil
}

// skbContext is struct __sk_buff of linux/bpf.h as far as a test run sets it.
type skbContext struct {
	_      [38]uint32
	Tstamp uint64
	_      [8]uint32
}

// Packet gives a frame to the program. Times before 1970 do not exist.
func (r *Replay) Packet(frame []byte, rx bool, at time.Time) error {
	program := r.tables.Egress
	if rx {
		program = r.tables.Ingress
	}
	context := skbContext{Tstamp: uint64(at.UnixNano())}
	_, err := program.Run(&ebpf.RunOptions{Data: frame, Context: &context})
	if err != nil {
		return fmt.Errorf("%w: %d bytes: %w", ErrNotTaken, len(frame), err)
	}
	return nil
}

// Close removes program and tables.
func (r *Replay) Close() error { return r.tables.Close() }

// Reasons returns how the packets left the program.
func (r *Replay) Reasons() (Reasons, error) { return readReasons(r.tables.Reasons) }

// Each calls a function for every flow: with its record, or, half-open and for UDP, with what comes before one.
func (r *Replay) Each(take func(flow.Key, *flow.Record)) error {
	err := eachEntry(r.tables.Flows, take)
	for _, m := range []*ebpf.Map{r.tables.HalfOpen, r.tables.UDP} {
		err = errors.Join(err, eachEntry(m, func(k flow.Key, c *flow.Conn) {
			if c.State != flow.StatePromoted {
				take(k, &flow.Record{Conn: *c})
			}
		}))
	}
	return err
}

func eachEntry[V any](m *ebpf.Map, take func(flow.Key, *V)) error {
	keys, values := make([]flow.Key, sweepBatch), make([]V, sweepBatch)
	var cursor ebpf.MapBatchCursor
	for {
		n, err := m.BatchLookup(&cursor, keys, values, nil)
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("read table: %w", err)
		}
		for i := range n {
			take(keys[i], &values[i])
		}
		if err != nil {
			return nil
		}
	}
}
