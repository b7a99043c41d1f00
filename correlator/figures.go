package correlator

import "fivetuple/correlator/flow"

// take fills in the figures of the exchanges from first to the record's current one. The smallest and largest packet are
// those of the exchanges that the record still holds, which is all of a run that starts in it.
func (res *Result) take(r *flow.Record, first uint32, now uint64) {
	start, ok := r.At(first)
	if !ok {
		return
	}
	res.Number = first
	res.Size = Size{Known: true, Span: r.Since(start, flow.RX)}
	last := start.Last[flow.RX].Time(r.Conn.Last)
	for n := first; n <= r.Exchange; n++ {
		e, _ := r.At(n)
		if e.RXMin != 0 && (res.Size.Min == 0 || e.RXMin < res.Size.Min) {
			res.Size.Min = e.RXMin
		}
		res.Size.Max = max(res.Size.Max, e.RXMax)
		last = max(last, e.Last[flow.RX].Time(r.Conn.Last))
	}
	if begin := start.First[flow.RX].Time(r.Conn.Last); begin != 0 {
		res.Timing = Timing{Known: true, Recv: microseconds(begin, last), Wait: microseconds(last, now)}
	}
}

// takeConnection fills in the figures of the whole connection: its segments with payload.
func (res *Result) takeConnection(r *flow.Record) {
	d := &r.Conn.Dir[flow.RX]
	res.Size = Size{Known: true, Span: flow.Span{
		Packets: d.DataPackets,
		Bytes:   d.Payload + uint64(d.DataHeaders),
		Payload: d.Payload,
	}}
}

// take fills in the round trip.
func (t *RTT) take(r *flow.Record) {
	t.Now, _ = r.RTT.RTT()
	t.Min = r.RTT.MinUS
	t.Handshake = microseconds(r.Conn.SYNACK, r.Conn.ACK)
}

// microseconds returns the time between two moments in nanoseconds; 0 if one is missing or they are in the wrong order.
func microseconds(from, to uint64) uint64 {
	if from == 0 || to <= from {
		return 0
	}
	return (to - from) / 1000
}
