package bpf

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"fivetuple/correlator/flow"
)

// sackOf returns the option with blocks given by their edges, as offsets from this host's first byte.
func sackOf(edges ...int) []byte {
	o := []byte{5, byte(2 + 4*len(edges))}
	for _, e := range edges {
		o = binary.BigEndian.AppendUint32(o, uint32(hostISN+1+e))
	}
	return o
}

func padded(options ...[]byte) []byte {
	o := slices.Concat(options...)
	return append(o, bytes.Repeat([]byte{1}, -len(o)&3)...)
}

// TestDuplicates: this host has sent 3,000 bytes and sent three segments of them again; the peer acknowledges 1,000. What
// it reports beside that is counted in segments of an MSS of 500.
func TestDuplicates(t *testing.T) {
	mss, stamps := []byte{2, 4, 500 >> 8, 500 & 0xff}, []byte{8, 10, 0, 0, 0, 1, 0, 0, 0, 2}
	for name, c := range map[string]struct {
		syn     []byte // options of both SYNs
		options []byte
		flags   int
		payload string
		want    uint16
	}{
		"below the acknowledgement":            {mss, sackOf(500, 1000), ack, "", 1},
		"with data":                            {mss, sackOf(500, 1000), psh | ack, "GET", 1},
		"with timestamps":                      {padded(mss, stamps), slices.Concat(stamps, sackOf(500, 1000)), ack, "", 1},
		"two segments":                         {mss, sackOf(1, 1000), ack, "", 2},
		"more than were sent again":            {nil, sackOf(0, 500), ack, "", 1},
		"all that were sent again, and more":   {[]byte{2, 4, 0, 1}, sackOf(0, 500), ack, "", 3},
		"inside the second block":              {mss, sackOf(1500, 2000, 1500, 2500), ack, "", 1},
		"the second block":                     {mss, sackOf(1500, 2000, 1500, 2000), ack, "", 1},
		"below the acknowledgement, and a gap": {mss, sackOf(500, 1000, 1500, 2500), ack, "", 1},
		"a gap":                                {mss, sackOf(1500, 2000), ack, "", 0},
		"two gaps":                             {mss, sackOf(1500, 2000, 2500, 3000), ack, "", 0},
		"beyond the second block":              {mss, sackOf(1500, 2501, 1500, 2500), ack, "", 0},
		"before the second block":              {mss, sackOf(1499, 2500, 1500, 2500), ack, "", 0},
		"over the acknowledgement":             {mss, sackOf(500, 1001), ack, "", 0},
		"not sent yet":                         {mss, sackOf(2900, 3001, 2900, 3001), ack, "", 0},
		"backwards":                            {mss, sackOf(1000, 500), ack, "", 0},
		"empty":                                {mss, sackOf(500, 500), ack, "", 0},
		"no block":                             {mss, padded(sackOf(), make([]byte, 10)), ack, "", 0},
		"half a block":                         {mss, padded([]byte{5, 6, 0, 0, 0, 0}, make([]byte, 6)), ack, "", 0},
		"a block and a half":                   {mss, sackOf(500, 1000, 1500), ack, "", 0},
		"cut short":                            {mss, []byte{5, 18, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, ack, "", 0},
		"behind the list's end":                {mss, padded([]byte{0}, sackOf(500, 1000)), ack, "", 0},
		"of a reset":                           {mss, sackOf(500, 1000), rst | ack, "", 0},
		"without ACK":                          {mss, sackOf(500, 1000), psh, "GET", 0},
	} {
		t.Run(name, func(t *testing.T) {
			k := newTalk(t)
			k.rx(RecordedHalfOpen, segment{flags: syn, seq: peerISN, options: c.syn})
			k.tx(RecordedHalfOpen, segment{flags: syn | ack, seq: hostISN, ack: peerISN + 1, options: c.syn})
			k.rx(RecordedFlow, segment{flags: ack, seq: peerISN + 1, ack: hostISN + 1})
			k.txData(0, text(3000), gso(500))
			k.txData(0, text(1500), gso(500))
			k.rx(RecordedFlow, segment{
				flags: c.flags, seq: peerISN + 1, ack: hostISN + 1001, options: padded(c.options), payload: c.payload,
			})
			same(t, k.flow().Duplicates, c.want)
			same(t, k.flow().Conn.Dir[flow.TX].Retransmitted, uint32(3))
		})
	}
}

// TestDuplicatesSaturate: one more than the field holds.
func TestDuplicatesSaturate(t *testing.T) {
	k := newTalk(t)
	mss := []byte{2, 4, 0, 1}
	k.rx(RecordedHalfOpen, segment{flags: syn, seq: peerISN, options: mss})
	k.tx(RecordedHalfOpen, segment{flags: syn | ack, seq: hostISN, ack: peerISN + 1})
	k.rx(RecordedFlow, segment{flags: ack, seq: peerISN + 1, ack: hostISN + 1})
	const bytes = 3000
	for range 0xffff/bytes + 2 {
		k.txData(0, text(bytes), gso(1))
		k.rx(RecordedFlow, segment{flags: ack, seq: peerISN + 1, ack: hostISN + 1 + bytes, options: padded(sackOf(0, bytes))})
	}
	same(t, k.flow().Duplicates, uint16(0xffff))
}

// TestDuplicatesMidstream: where no SYN was seen, a header of 32 bytes has timestamps, and is not searched.
func TestDuplicatesMidstream(t *testing.T) {
	k := newTalk(t, midstreamAny)
	k.txData(0, text(500))
	k.txData(0, text(500))
	report := segment{flags: ack, seq: peerISN + 1, ack: hostISN + 501, options: padded(sackOf(0, 500))}
	k.rx(RecordedFlow, report)
	same(t, k.flow().Duplicates, uint16(0))
	report.options = append(report.options, 1, 1, 1, 1)
	k.rx(RecordedFlow, report)
	same(t, k.flow().Duplicates, uint16(1))
}
