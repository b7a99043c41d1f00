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
		Tables:    TableOptions{Flows: room, HalfOpen: 2 * room, UDP: 2 * room, Sources: 2 * room, Holes: room},
		Midstream: MidstreamAny,
	})
	if err != nil {
		return nil, err
	}
	for _, name := range []string{fivetupleVarClockFromSkb, fivetupleVarLengthsFromCb} {
		if err := spec.Variables[name].Set(true); err != nil {
			return nil, fmt.Errorf("set %s: %w", name, err)
		}
	}
	t, err := load(spec, nil)
	if err != nil {
		return nil, err
	}
	return &Replay{tables: t}, nil
}

// skbContext is struct __sk_buff of linux/bpf.h as far as a test run sets it.
type skbContext struct {
	_      [12]uint32
	CB     [5]uint32 // the frame's length on the wire, and how much of it was captured
	_      [21]uint32
	Tstamp uint64
	_      [8]uint32
}

// Packet gives a frame to the program. Times before 1970 do not exist.
func (r *Replay) Packet(frame []byte, rx bool, at time.Time) error {
	program := r.tables.Egress
	if rx {
		program = r.tables.Ingress
	}
	context := skbContext{Tstamp: uint64(at.UnixNano()), CB: [5]uint32{uint32(len(frame)), uint32(len(frame))}}
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
	errs := []error{eachEntry(r.tables.Flows, func(k flow.Key, record *flow.Record) error {
		take(k, record)
		return nil
	})}
	for _, m := range []*ebpf.Map{r.tables.HalfOpen, r.tables.UDP} {
		errs = append(errs, eachEntry(m, func(k flow.Key, c *flow.Conn) error {
			if c.State != flow.StatePromoted {
				take(k, &flow.Record{Conn: *c})
			}
			return nil
		}))
	}
	return errors.Join(errs...)
}
