package simulated

import (
	"time"

	"fivetuple/correlator/flow"
)

// Flags of a segment (RFC 9293, 3.1).
const (
	flagSYN = 0x02
	flagRST = 0x04
	flagACK = 0x10
)

// repeatSYN is after what time a SYN is sent again (RFC 6298, 2.1); each time it is twice as long.
const repeatSYN = time.Second

// conn is a connection of a host to the gateway.
type conn struct {
	w      *world
	host   *host
	key    flow.Key
	record *flow.Record // nil until it is open
	tls    bool

	serial, requests uint64    // as the gateway numbers them
	next             [2]uint32 // sequence number of the next new byte
	window           [2]float64
	used             uint64 // when it was used last
	closed           bool
	onClose          func() // of whoever waits for an answer
}

// dial opens a connection, and calls then with it, or with nil if the gateway refused it.
func (h *host) dial(port uint16, then func(*conn)) {
	h.newConn(port).syn(repeatSYN, then)
}

func (h *host) newConn(port uint16) *conn {
	w := h.w
	*h.port = max(*h.port+1, 1024) // it wraps around
	c := &conn{w: w, host: h, tls: h.tls}
	c.key = flow.Key{Local: gatewayAddress(), Remote: h.address, LocalPort: port, RemotePort: *h.port, Proto: flow.TCP}
	c.next = [2]uint32{w.random.Uint32(), w.random.Uint32()}
	c.window = [2]float64{firstWindow, firstWindow}
	return c
}

// syn sends one, until it is answered.
func (c *conn) syn(again time.Duration, then func(*conn)) {
	w := c.w
	if w.lost(c.host) {
		w.after(again, func() { c.syn(2*again, then) })
		return
	}
	if !w.listening {
		c.refuse()
		w.after(c.host.trip(), func() { then(nil) })
		return
	}
	half := c.takeSYN()
	w.answer(half)
	if w.lost(c.host) {
		w.after(again, func() { c.syn(2*again, then) })
		return
	}
	w.after(c.host.trip(), func() {
		c.establish(half)
		then(c)
	})
}

// refuse answers a SYN with a reset.
func (c *conn) refuse() {
	half := c.takeSYN()
	half.Dir[flow.TX].Flags |= flagRST | flagACK
	c.w.fixed.Established(c.key)
}

// answer is the gateway's SYN-ACK.
func (w *world) answer(half *flow.Conn) {
	if half.SYNACK == 0 {
		half.SYNACK = w.now
	}
	half.Dir[flow.TX].Flags |= flagSYN | flagACK
}

// takeSYN is what the kernel program makes of one.
func (c *conn) takeSYN() *flow.Conn {
	w := c.w
	s := w.source(c.key.Remote, w.now)
	s.SYNs++
	bit := (uint32(c.key.LocalPort) * 0x9e3779b1) >> 22 // one of 1024
	s.Ports[bit/32] |= 1 << (bit % 32)
	w.fixed.SYN(w.now, c.key)
	if half := w.half.get(c.key); half != nil && half.State == flow.StateHalfOpen && half.Dir[flow.RX].ISN == c.next[flow.RX] {
		half.Last = w.now
		return half
	}
	half := &flow.Conn{ID: w.now, SYN: w.now, Last: w.now}
	rx := &half.Dir[flow.RX]
	rx.Known, rx.Flags, rx.TTL, rx.ISN = flow.KnownOpener|flow.KnownISN|flow.KnownSeq, flagSYN, c.host.ttl, c.next[flow.RX]
	rx.DataHigh = rx.ISN + 1
	w.begin(c.key, half)
	return half
}

// establish moves the entry to the flow table.
func (c *conn) establish(half *flow.Conn) {
	w := c.w
	c.next[flow.RX]++
	c.next[flow.TX]++
	half.State, half.Last, half.ACK = flow.StatePromoted, w.now, w.now
	r := &flow.Record{Conn: *half}
	r.Conn.State, r.Conn.Tag = flow.StateOpen, w.random.Uint32()
	tx := &r.Conn.Dir[flow.TX]
	tx.Known, tx.ISN, tx.DataHigh = flow.KnownISN|flow.KnownSeq, c.next[flow.TX]-1, c.next[flow.TX]
	c.record = r
	if !w.flows.put(c.key, r) {
		w.counts[flow.TableFlows].Inserted++
	}
	s := w.source(c.key.Remote, w.now)
	s.Handshakes++
	s.Flows++
	w.serial++
	c.serial, c.used = w.serial, w.now
	w.fixed.Established(c.key)
	w.open[c] = struct{}{}
}

// close ends the connection.
func (c *conn) close() {
	if c.closed {
		return
	}
	c.closed = true
	delete(c.w.open, c)
	c.w.fixed.HeadDone(c.key)
	if c.record != nil {
		c.record.Conn.State, c.record.Conn.Last = flow.StateClosed, c.w.now
	}
	if waiting := c.onClose; waiting != nil {
		c.onClose = nil
		waiting()
	}
}
