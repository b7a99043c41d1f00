package watch_test

import (
	"time"

	"fivetuple/correlator/flow"
)

// client is one connection of a peer's, or with outbound one of the gateway's own.
type client struct {
	*world
	key    flow.Key
	rtt    time.Duration
	tag    uint32
	first  string // the request's first bytes
	answer string // the response's
	record *flow.Record
	done   bool
}

const request = "GET / HTTP/1.1\r\n"

// client returns one that is not connected yet.
func (w *world) client(from [16]byte, port int, rtt time.Duration) *client {
	w.port++
	return &client{
		world: w, rtt: rtt, tag: w.port, first: request, answer: "HTTP/1.1 200 OK\r",
		key: flow.Key{Local: gateway, Remote: from, LocalPort: uint16(port), RemotePort: uint16(w.port), Proto: flow.TCP},
	}
}

// syn sends one, and returns the half-open entry.
func (c *client) syn() *flow.Conn {
	s := c.source(c.key.Remote)
	s.SYNs++
	bit := scatter(uint32(c.key.LocalPort)) % flow.PortBits
	s.Ports[bit/32] |= 1 << (bit % 32)
	if half := c.half.get(c.key); half != nil && half.State == flow.StateHalfOpen {
		half.Last = c.now
		return half
	}
	if c.half.get(c.key) == nil {
		c.counts[flow.TableHalfOpen].Inserted++
	}
	half := c.half.put(c.key)
	*half = flow.Conn{ID: c.now, SYN: c.now, Last: c.now}
	half.Dir[flow.RX].Known = flow.KnownOpener | flow.KnownISN | flow.KnownSeq
	half.Dir[flow.RX].Flags = 0x02
	return half
}

func scatter(n uint32) uint32 {
	n = (n ^ n>>16) * 0x85ebca6b
	n = (n ^ n>>13) * 0xc2b2ae35
	return n ^ n>>16
}

// synAck answers a SYN.
func (c *client) synAck(half *flow.Conn) {
	if half.SYNACK == 0 {
		half.SYNACK = c.now
	}
	half.Last = c.now
	half.Dir[flow.TX].Flags |= 0x12
}

// refuse answers a SYN with a RST: nobody listens.
func (c *client) refuse(half *flow.Conn) { half.Dir[flow.TX].Flags |= 0x14 }

// connect does the whole handshake, and calls then when it is done.
func (c *client) connect(then func()) {
	half := c.syn()
	c.synAck(half)
	c.after(c.rtt, func() { c.open(half); then() })
}

// open moves the half-open entry to the flow table.
func (c *client) open(half *flow.Conn) {
	half.State, half.Last, half.ACK = flow.StatePromoted, c.now, c.now
	c.begin()
	c.record.Conn = *half
	c.record.Conn.State, c.record.Conn.Tag = flow.StateOpen, c.tag
	c.source(c.key.Remote).Handshakes++
}

// begin makes a record without a handshake.
func (c *client) begin() {
	c.record = c.flows.put(c.key)
	c.record.Conn = flow.Conn{ID: c.now, Last: c.now, Tag: c.tag, State: flow.StateOpen, Origin: flow.OriginMidstream}
	c.counts[flow.TableFlows].Inserted++
	c.source(c.key.Remote).Flows++
}

// receive is a segment from the peer; old brings nothing new.
func (c *client) receive(payload int, old bool) {
	r := c.record
	d := &r.Conn.Dir[flow.RX]
	if !old && (r.Answered != 0 || r.Exchange == 0) {
		tx := &r.Conn.Dir[flow.TX]
		r.Exchange++
		r.Answered = 0
		r.Ring[r.Exchange%flow.Exchanges] = flow.Exchange{
			Payload: [2]uint64{d.Payload, tx.Payload}, Packets: [2]uint32{d.DataPackets, tx.DataPackets},
			Headers: [2]uint32{d.DataHeaders, tx.DataHeaders}, Seq: [2]uint32{d.DataHigh, tx.DataHigh},
		}
	}
	e := &r.Ring[r.Exchange%flow.Exchanges]
	if last := e.Last[flow.RX].Time(c.now); last != 0 {
		e.RXGapUS = max(e.RXGapUS, uint32((c.now-last)/1000))
	}
	c.count(flow.RX, payload, old, c.first)
	e.RXMax = max(e.RXMax, uint16(min(payload+40, 0xffff)))
}

// respond is payload to the peer.
func (c *client) respond(payload int) {
	c.record.Answered = 1
	c.count(flow.TX, payload, false, c.answer)
	c.calls++
}

func (c *client) count(dir, payload int, old bool, first string) {
	r := c.record
	d := &r.Conn.Dir[dir]
	if d.FirstLen == 0 {
		d.FirstLen = uint8(min(copy(d.FirstPayload[:], first), payload))
	}
	d.Packets++
	d.DataPackets++
	d.DataHeaders += 40
	d.Payload += uint64(payload)
	if !old {
		d.DataHigh += uint32(payload)
	}
	r.Conn.Last = c.now
	e := &r.Ring[r.Exchange%flow.Exchanges]
	if e.First[dir].IsZero() {
		e.First[dir] = flow.StampOf(c.now)
	}
	e.Last[dir] = flow.StampOf(c.now)
}

// keepAlive is one of the peer's, with a byte of old data.
func (c *client) keepAlive() {
	c.receive(1, true)
	c.record.Conn.Dir[flow.RX].KeepAlive++
	c.record.Conn.Dir[flow.TX].Packets++
}

// call sends a request, and calls then when the answer is here.
func (c *client) call(takes time.Duration, then func()) {
	c.receive(400, false)
	c.after(takes, func() {
		c.respond(2000)
		c.after(c.rtt, then)
	})
}

// close ends the connection, both sides.
func (c *client) close() {
	if c.record != nil {
		c.record.Conn.State, c.record.Conn.Last, c.done = flow.StateClosed, c.now, true
	}
}
