package bpf

import (
	"testing"

	"fivetuple/correlator/flow"
)

// manyFlows is a large gateway's number of connections.
const manyFlows = 1_000_000

// TestMillionFlows fills the table and reads each record back whole. One flow more is refused, and takes nobody's place.
func TestMillionFlows(t *testing.T) {
	c := newTalk(t, midstreamAny, func(o *Options) { o.Tables.Flows = manyFlows })
	for i := range manyFlows {
		must(t, c.run(flow.RX, tuple{c.tuple.local, peerNumber(i)}.tcp(flow.RX, request)))
	}
	c.want(TableFull, flow.RX, tuple{c.tuple.local, peerNumber(manyFlows)}.tcp(flow.RX, request))

	read := 0
	must(t, eachEntry(c.Flows, func(key flow.Key, r *flow.Record) error {
		d := &r.Conn.Dir[flow.RX]
		whole := r.Conn.Lock&1 == 0 && r.Conn.ID == c.now && d.Packets == 1 && d.Payload == uint64(len(request.payload))
		if n := peerOf(key); !whole || n >= manyFlows || key != (tuple{c.tuple.local, peerNumber(n)}).key(flow.TCP) {
			t.Errorf("record of %v: %+v", key, r.Conn)
		}
		read++
		return nil
	}))
	same(t, read, manyFlows)
	counts, err := readTableCounts(c.Counts)
	must(t, err)
	same(t, counts[flow.TableFlows], flow.TableCounts{Inserted: manyFlows, Refused: 1})

	info, err := c.Flows.Info()
	must(t, err)
	if info.KeySize+info.ValueSize > 640 {
		t.Errorf("key and value have %d bytes, at most 640 are allowed", info.KeySize+info.ValueSize)
	}
	if memory, ok := info.Memlock(); ok {
		t.Logf("key %d, value %d bytes; the kernel takes %d bytes per entry", info.KeySize, info.ValueSize, memory/manyFlows)
	}
}

// peerOf is the number of a peer of peerNumber's.
func peerOf(k flow.Key) int {
	a := k.RemoteAddr().Addr().As4()
	return int(a[1])<<16 | int(a[2])<<8 | int(a[3])
}
