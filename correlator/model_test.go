package correlator_test

import (
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"testing"

	"fivetuple/correlator/flow"
)

// modelHeaders are the IP and TCP header bytes of the model's segments: IPv4 without options, TCP with timestamps.
const modelHeaders = 52

// model is a connection whose record is kept as the kernel program keeps it (bpf/count.h, bpf/exchange.h), so that
// matching is tested against segments and not against records that somebody imagined.
type model struct {
	record flow.Record
	first  string    // what the peer's payload begins with
	now    uint64    // CLOCK_MONOTONIC nanoseconds
	next   [2]uint32 // sequence number of the next new byte
}

const (
	modelStep = 100_000 // nanoseconds between two segments
	modelISN  = 1000
)

// newModel returns a connection right after its handshake, of 2 ms at the peer's side.
func newModel(isn uint32) *model {
	m := &model{first: "GET / HTTP/1.1\r\nHost: example\r\n", now: 10_000_000, next: [2]uint32{isn + 1, 7_000_001}}
	c := &m.record.Conn
	c.ID, c.SYN, c.SYNACK, c.ACK = m.now, m.now, m.now+modelStep, m.now+modelStep+2_000_000
	c.State = flow.StateOpen
	for dir := range c.Dir {
		d := &c.Dir[dir]
		d.ISN, d.DataHigh = m.next[dir]-1, m.next[dir]
		d.Known = flow.KnownISN | flow.KnownSeq
	}
	m.record.RTT = flow.RoundTrip{SmoothedUS8: 2000 * 8, MinUS: 2000}
	m.now = c.ACK
	return m
}

// newMidstream returns a connection that is older than the program.
func newMidstream(seq uint32) *model {
	m := newModel(seq - 1)
	m.record = flow.Record{Conn: flow.Conn{ID: m.now, State: flow.StateOpen, Origin: flow.OriginMidstream}}
	return m
}

// rx lets new payload arrive, one segment a size; tx sends it.
func (m *model) rx(sizes ...int) { m.sendNew(flow.RX, sizes) }
func (m *model) tx(sizes ...int) { m.sendNew(flow.TX, sizes) }

func (m *model) sendNew(dir int, sizes []int) {
	for _, n := range sizes {
		m.segment(dir, m.next[dir], n)
		m.next[dir] += uint32(n)
	}
}

// lose lets payload pass that the program does not see.
func (m *model) lose(n int) { m.next[flow.RX] += uint32(n) }

// again lets the last n bytes arrive a second time.
func (m *model) again(n int) { m.segment(flow.RX, m.next[flow.RX]-uint32(n), n) }

// segment is count_segment and take_exchange of the kernel program, for a segment with payload.
func (m *model) segment(dir int, seq uint32, n int) {
	m.now += modelStep
	r := &m.record
	d := &r.Conn.Dir[dir]
	before := *d
	if d.Known&flow.KnownSeq == 0 {
		d.Known |= flow.KnownSeq
		d.DataHigh, before.DataHigh = seq, seq
	}
	if d.FirstLen == 0 && dir == flow.RX {
		d.FirstLen = uint8(copy(d.FirstPayload[:], m.first[:min(n, len(m.first))]))
	}
	d.Packets++
	d.DataPackets++
	d.DataHeaders += modelHeaders
	d.Payload += uint64(n)
	d.Bytes += uint64(n) + modelHeaders
	isNew := int32(d.DataHigh-(seq+uint32(n))) < 0
	if isNew {
		d.DataHigh = seq + uint32(n)
	} else {
		d.Retransmitted++
	}
	r.Conn.Last = m.now
	m.takeExchange(dir, n, isNew, &before)
}

func (m *model) takeExchange(dir, n int, isNew bool, before *flow.Direction) {
	r := &m.record
	if dir == flow.RX && isNew && (r.Answered != 0 || r.Exchange == 0) {
		m.startExchange(before)
	}
	e := &r.Ring[r.Exchange%flow.Exchanges]
	if dir == flow.TX && isNew {
		r.Answered = 1
	}
	if size := uint16(min(n+modelHeaders, 0xffff)); dir == flow.RX {
		e.RXMax = max(e.RXMax, size)
		if e.RXMin == 0 || size < e.RXMin {
			e.RXMin = size
		}
	}
	if e.First[dir].IsZero() {
		e.First[dir] = flow.StampOf(m.now)
	}
	e.Last[dir] = flow.StampOf(m.now)
}

func (m *model) startExchange(rx *flow.Direction) {
	r, tx := &m.record, &m.record.Conn.Dir[flow.TX]
	r.Exchange++
	r.Answered = 0
	r.Ring[r.Exchange%flow.Exchanges] = flow.Exchange{
		Payload: [2]uint64{rx.Payload, tx.Payload},
		Packets: [2]uint32{rx.DataPackets, tx.DataPackets},
		Headers: [2]uint32{rx.DataHeaders, tx.DataHeaders},
		Seq:     [2]uint32{rx.DataHigh, tx.DataHigh},
	}
}

// modelTable holds the records of models: a flow.Table.
type modelTable struct {
	models  map[flow.Key]*model
	err     error // answers every look-up
	udp     bool
	lookups atomic.Uint64
	after   func() // is called once, between the next look-up and its return
}

func newModelTable() *modelTable { return &modelTable{models: map[flow.Key]*model{}} }

// Lookup implements flow.Table.
func (t *modelTable) Lookup(k flow.Key, r *flow.Record) error {
	t.lookups.Add(1)
	if t.err != nil {
		return t.err
	}
	m, ok := t.models[k]
	if !ok {
		return flow.ErrNotFound
	}
	*r = m.record
	if after := t.after; after != nil {
		t.after = nil
		after()
	}
	return nil
}

// HasUDP implements flow.Table.
func (t *modelTable) HasUDP(flow.Key) bool { return t.udp }

// modelTuple returns a tuple of the n-th peer.
func modelTuple(n int) (peer, gateway netip.AddrPort) {
	addr := netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
	return netip.AddrPortFrom(addr, 50000), netip.MustParseAddrPort("192.0.2.1:9080")
}

var _ flow.Table = (*modelTable)(nil)

// newRandom returns the same random bytes at each run.
func newRandom(tb testing.TB) *rand.ChaCha8 {
	tb.Helper()
	return rand.NewChaCha8([32]byte{1})
}
