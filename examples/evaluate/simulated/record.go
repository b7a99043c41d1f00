package simulated

import "fivetuple/correlator/flow"

// headers are the IP and TCP header bytes of each segment: IPv4, and TCP with timestamps.
const headers = 52

// mss is the payload of a full segment.
const mss = 1500 - headers

// kind is what a segment's sequence numbers are.
type kind uint8

const (
	fresh kind = iota // above the highest
	late              // into a hole
	again             // what was there before
)

// count takes segments of a direction with a payload of n bytes in all: count_segment of the kernel program. Above fresh ones
// may lie a hole, which they begin behind.
func (c *conn) count(dir int, k kind, n, hole int) {
	r, now := c.record, c.w.now
	d := &r.Conn.Dir[dir]
	before := *d
	packets := (n + mss - 1) / mss
	if d.FirstLen == 0 {
		d.FirstLen = uint8(min(copy(d.FirstPayload[:], c.first(dir)), n))
	}
	d.Packets += uint64(packets)
	d.DataPackets += uint32(packets)
	d.DataHeaders += uint32(packets * headers)
	d.Payload += uint64(n)
	d.Bytes += uint64(n + packets*headers)
	d.Flags |= flagACK
	switch k {
	case fresh:
		d.DataHigh += uint32(n + hole)
		d.SeqHigh = d.DataHigh
	case late:
		d.OutOfOrder += uint32(packets)
	case again:
		d.Retransmitted += uint32(packets)
	}
	r.Conn.Last = now
	c.takeExchange(dir, n, k == fresh, &before)
}

// takeExchange is take_exchange of the kernel program.
func (c *conn) takeExchange(dir, n int, isNew bool, before *flow.Direction) {
	r, now := c.record, c.w.now
	if dir == flow.RX && isNew && (r.Answered != 0 || r.Exchange == 0) {
		tx := &r.Conn.Dir[flow.TX]
		r.Exchange++
		r.Answered = 0
		r.Ring[r.Exchange%flow.Exchanges] = flow.Exchange{
			Payload: [2]uint64{before.Payload, tx.Payload}, Packets: [2]uint32{before.DataPackets, tx.DataPackets},
			Headers: [2]uint32{before.DataHeaders, tx.DataHeaders}, Seq: [2]uint32{before.DataHigh, tx.DataHigh},
		}
	}
	e := &r.Ring[r.Exchange%flow.Exchanges]
	if dir == flow.TX && isNew {
		r.Answered = 1
	}
	if dir == flow.RX {
		smallest, largest := n%mss, min(n, mss)
		if smallest == 0 {
			smallest = largest
		}
		if size := uint16(smallest + headers); e.RXMin == 0 || size < e.RXMin {
			e.RXMin = size
		}
		e.RXMax = max(e.RXMax, uint16(largest+headers))
	}
	if e.First[dir].IsZero() {
		e.First[dir] = flow.StampOf(now)
	}
	e.Last[dir] = flow.StampOf(now)
}

// acknowledge takes the peer's acknowledgement of all that was sent, a round trip after it.
func (c *conn) acknowledge(trip uint32) {
	if c.closed {
		return
	}
	r, now := c.record, c.w.now
	rx := &r.Conn.Dir[flow.RX]
	rx.Packets++
	rx.Bytes += headers
	rx.Known |= flow.KnownAck
	rx.AckHigh, rx.Acked = r.Conn.Dir[flow.TX].DataHigh, uint32(now>>10)
	r.Conn.Last = now
	if t := &r.RTT; t.SmoothedUS8 == 0 {
		t.SmoothedUS8, t.VarUS4, t.MinUS = 8*trip, 2*trip, trip
	} else {
		t.SmoothedUS8 += trip - t.SmoothedUS8/8
		t.MinUS = min(t.MinUS, trip)
	}
}

// first is what a direction begins with.
func (c *conn) first(dir int) string {
	switch {
	case c.tls && dir == flow.RX:
		return "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03abcde"
	case c.tls:
		return "\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03abcde"
	case dir == flow.RX:
		return "GET /api/v1/item"
	}
	return "HTTP/1.1 200 OK\r"
}
