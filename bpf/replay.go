package bpf

import (
	"errors"
	"fmt"
	"time"

	"github.com/cilium/ebpf"

	"fivetuple/bpf/capture"
	"fivetuple/correlator/flow"
)

// Replay is the kernel program with tables of its own, to which packets are given one by one with their own times. It is
// attached to nothing.
type Replay struct {
	tables   *tables
	strict   *tables // the same tables, with the program of MidstreamSocket; nil: no packet has needed it
	options  TableOptions
	limits   frameLimits
	replaced []Generation      // over whose records the 5-tuple's next one was written, the oldest first
	txFirst  map[flow.Key]bool // of the generation in the flow table, from its exchange 1 on
}

// Generation is one connection on a 5-tuple, or a UDP flow. Half-open and for UDP the record has Conn and Exchange only.
type Generation struct {
	Key     flow.Key
	Record  flow.Record
	TXFirst bool // this side's payload came before the peer's
}

// ErrNotTaken means that the kernel does not take a packet for a test run.
var ErrNotTaken = errors.New("not taken by the kernel's test run")

// NewReplay loads the program with room for numbers of TCP and of UDP flows.
func NewReplay(tcp, udp int) (*Replay, error) {
	limits, err := probeFrameLimits()
	if err != nil {
		return nil, err
	}
	r := &Replay{options: replayTables(tcp, udp), limits: limits, txFirst: make(map[flow.Key]bool)}
	if r.tables, err = r.load(MidstreamAny, nil); err != nil {
		return nil, err
	}
	return r, nil
}

// load loads the program as with a setting of midstream, over tables that are there or its own.
func (r *Replay) load(midstream string, existing map[string]*ebpf.Map) (*tables, error) {
	spec, err := configure(Options{Tables: r.options, Midstream: midstream})
	if err != nil {
		return nil, err
	}
	if err := setReplay(spec); err != nil {
		return nil, err
	}
	return load(spec, existing)
}

// program returns that of a packet.
func (r *Replay) program(p Packet) (*ebpf.Program, error) {
	t := r.tables
	if p.Unasked {
		if r.strict == nil {
			existing := make(map[string]*ebpf.Map)
			for _, m := range r.tables.shared() {
				existing[m.name] = m.Map
			}
			var err error
			if r.strict, err = r.load(MidstreamSocket, existing); err != nil {
				return nil, err
			}
		}
		t = r.strict
	}
	if p.RX {
		return t.Ingress, nil
	}
	return t.Egress, nil
}

// replayTables returns capacities at which no flow is refused and none makes room for another: an LRU evicts before it is
// full, because each CPU keeps up to 128 free entries for itself (kernel: kernel/bpf/bpf_lru_list.c).
func replayTables(tcp, udp int) TableOptions {
	const perCPU = 2 * 128
	slack := perCPU * max(1, ebpf.MustPossibleCPU())
	room := func(flows int) uint32 { return uint32(max(minEntries, min(flows, maxEntries))) }
	return TableOptions{
		Flows: room(tcp), HalfOpen: room(2*tcp + slack), UDP: room(2*udp + slack),
		Sources: room(2*tcp + slack), Holes: room(2*tcp + slack), // one for each direction
		Verdicts: minEntries,
	}
}

// setReplay makes the packet's own time, wire length and captured bytes the program's.
func setReplay(spec *ebpf.CollectionSpec) error {
	for _, name := range []string{fivetupleVarClockFromSkb, fivetupleVarLengthsFromCb} {
		if err := spec.Variables[name].Set(true); err != nil {
			return fmt.Errorf("set %s: %w", name, err)
		}
	}
	return nil
}

// Packet is a captured frame.
type Packet struct {
	Data   []byte // what was captured of it, from the Ethernet header on
	Length int    // bytes that it had on the wire
	RX     bool
	Time   time.Time
	Key    flow.Key // its flow; the zero Key if it has none
	// Unasked: this host had no socket for it, as an agent with MidstreamSocket sees. Of all others it is taken that they had one
	// if the capture lacks the opening of their connection.
	Unasked bool
}

// PacketOf returns a frame of a capture as a packet of a direction.
func PacketOf(f capture.Frame, rx bool) Packet {
	p := Packet{Data: f.Data, Length: f.Length, RX: rx, Time: f.Time}
	proto, source, destination, ok := f.Ends()
	switch {
	case ok && rx:
		p.Key = flow.NewKey(proto, destination, source)
	case ok:
		p.Key = flow.NewKey(proto, source, destination)
	}
	return p
}

// skbContext is struct __sk_buff of linux/bpf.h as far as a test run sets it.
type skbContext struct {
	_      [12]uint32
	CB     [5]uint32 // the frame's length on the wire, and how many bytes of it are there
	_      [21]uint32
	Tstamp uint64
	_      [8]uint32
}

// epoch is added to all times: to the program the time 0 means that something was not seen. Only differences are shown.
const epoch = uint64(time.Second)

// ReplayTime returns what the program takes a moment of a capture for, in nanoseconds.
func ReplayTime(t time.Time) uint64 { return epoch + uint64(t.UnixNano()) }

// Packet gives a frame to the program.
func (r *Replay) Packet(p Packet) error {
	program, err := r.program(p)
	if err != nil {
		return err
	}
	before, known, err := r.record(p.Key)
	if err != nil {
		return err
	}
	context := skbContext{Tstamp: ReplayTime(p.Time)}
	context.CB[0], context.CB[1] = uint32(p.Length), uint32(min(len(p.Data), r.limits.longest))
	if _, err := program.Run(&ebpf.RunOptions{Data: r.limits.fit(p.Data), Context: &context}); err != nil {
		return fmt.Errorf("%w: %d bytes: %w", ErrNotTaken, len(p.Data), err)
	}
	after, _, err := r.record(p.Key)
	if known && after.Conn.ID != before.Conn.ID {
		r.replaced = append(r.replaced, r.generation(p.Key, &before))
		before.Exchange = 0
	}
	if before.Exchange == 0 && after.Exchange == 1 {
		r.txFirst[p.Key] = after.Ring[1].Payload[flow.TX] > 0
	}
	return err
}

func (r *Replay) generation(k flow.Key, record *flow.Record) Generation {
	tx := &record.Conn.Dir[flow.TX]
	return Generation{k, *record, record.Exchange == 0 && tx.DataPackets > 0 || record.Exchange > 0 && r.txFirst[k]}
}

// record returns the flow table's record of a flow, if it has one.
func (r *Replay) record(k flow.Key) (record flow.Record, ok bool, err error) {
	if k.Proto != flow.TCP {
		return record, false, nil
	}
	err = r.tables.Flows.Lookup(&k, &record)
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return record, false, nil
	}
	if err != nil {
		return record, false, fmt.Errorf("look up %v: %w", k, err)
	}
	return record, true, nil
}

// Close removes program and tables.
func (r *Replay) Close() error {
	err := r.tables.Close()
	if r.strict != nil {
		err = errors.Join(err, r.strict.Close())
	}
	return err
}

// Reasons returns how the packets left the program.
func (r *Replay) Reasons() (Reasons, error) { return readReasons(r.tables.Reasons) }

// Each calls a function for every generation of every flow.
func (r *Replay) Each(take func(*Generation)) error {
	for i := range r.replaced {
		take(&r.replaced[i])
	}
	errs := []error{eachEntry(r.tables.Flows, func(k flow.Key, record *flow.Record) error {
		g := r.generation(k, record)
		take(&g)
		return nil
	})}
	errs = append(errs, eachEntry(r.tables.HalfOpen, func(k flow.Key, h *flow.Handshake) error {
		if c := &h.Conn; c.State != flow.StatePromoted {
			take(&Generation{Key: k, Record: flow.Record{Conn: *c, Exchange: synExchange(c)}})
		}
		return nil
	}), eachEntry(r.tables.UDP, func(k flow.Key, c *flow.Conn) error {
		take(&Generation{Key: k, Record: flow.Record{Conn: *c}})
		return nil
	}))
	return errors.Join(errs...)
}

// synExchange returns the exchange of a half-open connection: data that came with the SYN is number 1 (take_syn_data in
// tcp.h, where the connection gets its record).
func synExchange(c *flow.Conn) uint32 {
	rx := &c.Dir[flow.RX]
	if rx.Known&flow.KnownISN != 0 && rx.DataHigh != rx.ISN+1 {
		return 1
	}
	return 0
}
