package correlator

import "fivetuple/correlator/flow"

// mark is where a direction of a flow stood at a moment: its running figures of segments with payload.
type mark struct {
	payload uint64
	packets uint32
	headers uint32
	seq     uint32
}

// marks are those of both directions, by flow.RX and flow.TX.
type marks [2]mark

// marksBefore returns where the flow stood when an exchange began.
func marksBefore(e *flow.Exchange) (m marks) {
	for dir := range m {
		m[dir] = mark{e.Payload[dir], e.Packets[dir], e.Headers[dir], e.Seq[dir]}
	}
	return m
}

// marksNow returns where the flow stands.
func marksNow(r *flow.Record) (m marks) {
	for dir := range m {
		d := &r.Conn.Dir[dir]
		m[dir] = mark{d.Payload, d.DataPackets, d.DataHeaders, d.DataHigh}
	}
	return m
}

// to returns what a direction carried from one mark to another.
func (m mark) to(n mark) flow.Span {
	payload := n.payload - m.payload
	return flow.Span{
		Packets: n.packets - m.packets,
		Bytes:   payload + uint64(n.headers-m.headers),
		Payload: payload,
		Length:  n.seq - m.seq,
	}
}

// trouble are a direction's running figures of what went wrong.
type trouble struct {
	retransmitted, outOfOrder, zeroWindow uint32
	windowUpdates                         uint16 // of the peer's window, at flow.TX
	duplicates                            uint16 // that the peer told, at flow.TX
	waited                                uint16 // milliseconds
}

func troubleNow(r *flow.Record) (t [2]trouble) {
	for dir := range t {
		d := &r.Conn.Dir[dir]
		t[dir] = trouble{retransmitted: d.Retransmitted, outOfOrder: d.OutOfOrder, zeroWindow: d.ZeroWindow, waited: d.Waited}
	}
	t[flow.TX].windowUpdates = r.Conn.WindowUpdates
	t[flow.TX].duplicates = r.Duplicates
	return t
}
