package bpf

import (
	"encoding/binary"

	"fivetuple/correlator/flow"
)

// told counts what a segment of the peer's says to have come twice (RFC 2883).
func (f *modelFlow) told(p *wirePacket) {
	rx, tx := &f.conn.Dir[flow.RX], &f.conn.Dir[flow.TX]
	if p.dir != flow.RX || p.flags&(syn|rst|ack) != ack || !f.mayTell(p) {
		return
	}
	start, end, told := p.duplicate()
	if !told || below(tx.SeqHigh, end) {
		return
	}
	bytes, segments := end-start, uint64(1)
	mss := min(int(rx.SYNMSS), int(tx.SYNMSS))
	if mss == 0 {
		mss = max(int(rx.SYNMSS), int(tx.SYNMSS))
	}
	if mss != 0 {
		segments = (uint64(bytes) + uint64(mss) - 1) / uint64(mss)
	}
	again := uint64(tx.Retransmitted + tx.OutOfOrder)
	f.duplicates = uint16(min(uint64(f.duplicates)+segments, again, 0xffff))
}

// mayTell says whether the header is longer than the connection's timestamps want; of connections whose beginning was not
// seen, than any would.
func (f *modelFlow) mayTell(p *wirePacket) bool {
	usual := 12
	if f.conn.knows(flow.RX, flow.KnownISN) && f.conn.knows(flow.TX, flow.KnownISN) &&
		f.conn.Dir[flow.RX].SYNOptions&f.conn.Dir[flow.TX].SYNOptions&synTimestamps == 0 {
		usual = 8
	}
	return p.options.length > usual
}

// duplicate returns the sequence of the first SACK block, if it says that this came twice: because it is acknowledged, or
// lies inside the second.
func (p *wirePacket) duplicate() (start, end uint32, told bool) {
	blocks := p.options.find(5)
	count := (blocks.length - 2) / 8
	if count < 1 || (blocks.length-2)%8 != 0 || len(blocks.data) < 2+8*min(count, 2) {
		return 0, 0, false
	}
	edge := func(n int) uint32 { return binary.BigEndian.Uint32(blocks.data[2+4*n:]) }
	start, end = edge(0), edge(1)
	told = !below(p.ack, end) || count > 1 && !below(start, edge(2)) && !below(edge(3), end)
	return start, end, told && below(start, end)
}

// find returns the first option of a kind, as far as the list makes sense and was captured.
func (o octets) find(kind byte) octets {
	for len(o.data) > 0 && o.data[0] != 0 {
		length := 1
		if o.data[0] != 1 {
			if len(o.data) < 2 || o.data[1] < 2 || int(o.data[1]) > o.length {
				break
			}
			length = int(o.data[1])
		}
		if o.data[0] == kind {
			return o.cut(length)
		}
		o = o.skip(length)
	}
	return octets{}
}
