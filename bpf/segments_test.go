package bpf

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"fivetuple/correlator/flow"
)

func TestOffloadedSegments(t *testing.T) {
	for _, tu := range []tuple{tuple4, tuple6} {
		for name, c := range map[string]struct{ payload, gso, segments int }{
			"not offloaded":       {3000, 0, 1},
			"one full segment":    {1448, 1448, 1},
			"below a segment":     {100, 1448, 1},
			"two full segments":   {2896, 1448, 2},
			"two and a bit":       {2897, 1448, 3},
			"many small segments": {3001, 100, 31},
		} {
			t.Run(fmt.Sprintf("%s, %v", name, tu.local.Addr()), func(t *testing.T) {
				k := &talk{newKernel(t), tu}
				k.open(peerISN, hostISN)
				before := k.flow().Conn.Dir[flow.RX]
				k.rxData(0, text(c.payload), gso(uint32(c.gso)))
				k.txData(0, text(c.payload), gso(uint32(c.gso)))
				headers := 40
				if tu == tuple6 {
					headers = 60
				}
				r := k.flow()
				want := flow.Span{
					Packets: uint32(c.segments), Payload: uint64(c.payload), Length: uint32(c.payload),
					Bytes: uint64(c.payload + headers*c.segments),
				}
				same(t, r.Since(exchangeAt(t, &r, 1), flow.RX), want)
				same(t, r.Since(exchangeAt(t, &r, 1), flow.TX), want)
				same(t, r.Conn.Dir[flow.RX].Packets-before.Packets, uint64(c.segments))
				same(t, r.Conn.Dir[flow.RX].Bytes-before.Bytes, want.Bytes)
			})
		}
	}
}

func TestOffloadedSegmentSizes(t *testing.T) {
	c := newOpenTalk(t)
	c.rxData(0, text(2*1448+7), gso(1448))
	r := c.flow()
	same(t, [2]uint16{r.Ring[1].RXMin, r.Ring[1].RXMax}, [2]uint16{47, 1488})
}

func TestLengthZeroIsOffloads(t *testing.T) {
	for _, tu := range []tuple{tuple4, tuple6} {
		c := &talk{newKernel(t, midstreamAny), tu}
		s := segment{flags: ack, seq: 1, ack: 1, payload: text(3000)}
		h := tu.ip(flow.TX, flow.TCP)
		h.length = -1
		frame := ethernet(nil, tu.etherType(), h.packet(s.bytes(80, 50000)))
		c.want(RecordedFlow, flow.TX, frame, gso(1000))
		d := c.flow().Conn.Dir[flow.TX]
		same(t, [2]uint64{d.Packets, d.Payload}, [2]uint64{3, 3000})
	}
}

func TestRetransmitted(t *testing.T) {
	high := hostISN + 301 // three segments were sent
	for name, c := range map[string]struct {
		s    segment
		gso  uint32
		want uint32
	}{
		"all of the last":          {segment{flags: ack, seq: uint32(high - 100), payload: text(100)}, 0, 1},
		"new data":                 {segment{flags: ack, seq: uint32(high), payload: text(100)}, 0, 0},
		"behind a hole":            {segment{flags: ack, seq: uint32(high + 100), payload: text(100)}, 0, 0},
		"overlap by a byte":        {segment{flags: ack, seq: uint32(high - 2), payload: text(100)}, 0, 1},
		"three merged":             {segment{flags: ack, seq: uint32(high - 300), payload: text(300)}, 100, 3},
		"merged, one of them old":  {segment{flags: ack, seq: uint32(high - 100), payload: text(300)}, 100, 1},
		"merged, overlap in two":   {segment{flags: ack, seq: uint32(high - 150), payload: text(300)}, 100, 2},
		"pure ACK with old number": {segment{flags: ack, seq: uint32(high - 200)}, 0, 0},
		"RST with old number":      {segment{flags: rst, seq: uint32(high - 200)}, 0, 0},
		"FIN":                      {segment{flags: fin | ack, seq: uint32(high)}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			k := newOpenTalk(t)
			k.txData(0, text(300), gso(100))
			k.tx(RecordedFlow, c.s, gso(c.gso))
			d := k.flow().Conn.Dir[flow.TX]
			same(t, d.Retransmitted, c.want)
			if d.KeepAlive != 0 {
				t.Errorf("%d keep-alives", d.KeepAlive)
			}
		})
	}
}

func TestRepeatedFIN(t *testing.T) {
	c := newOpenTalk(t)
	for range 3 {
		c.tx(RecordedFlow, segment{flags: fin | ack, seq: hostISN + 1, ack: peerISN + 1})
	}
	d := c.flow().Conn.Dir[flow.TX]
	same(t, [3]uint32{d.Retransmitted, d.SeqHigh, d.DataHigh}, [3]uint32{2, hostISN + 2, hostISN + 1})
}

func TestKeepAlive(t *testing.T) {
	for _, payload := range []string{"", "x"} {
		c := newOpenTalk(t)
		c.rxData(0, text(100))
		c.rx(RecordedFlow, segment{flags: ack, seq: peerISN + 100, ack: hostISN + 1, payload: payload})
		d := c.flow().Conn.Dir[flow.RX]
		same(t, [4]uint32{d.KeepAlive, d.Retransmitted, d.SeqHigh, d.DataHigh}, [4]uint32{1, 0, peerISN + 101, peerISN + 101})
		same(t, d.Packets, uint64(4))
	}
}

func TestZeroWindow(t *testing.T) {
	c := newOpenTalk(t)
	c.rx(RecordedFlow, segment{flags: ack, seq: peerISN + 1, ack: hostISN + 1, window: -1})
	c.rx(RecordedFlow, segment{flags: ack, seq: peerISN + 1, ack: hostISN + 1, window: -1})
	c.rx(RecordedFlow, segment{flags: ack, seq: peerISN + 1, ack: hostISN + 1, window: 1})
	c.tx(RecordedFlow, segment{flags: fin | ack, seq: hostISN + 1, ack: peerISN + 1, window: -1})
	c.rx(RecordedFlow, segment{flags: rst, seq: peerISN + 1, window: -1})
	r := c.flow()
	same(t, [2]uint32{r.Conn.Dir[flow.RX].ZeroWindow, r.Conn.Dir[flow.TX].ZeroWindow}, [2]uint32{2, 0})
}

func TestClose(t *testing.T) {
	rxFIN := segment{flags: fin | ack, seq: peerISN + 1, ack: hostISN + 1}
	txFIN := segment{flags: fin | ack, seq: hostISN + 1, ack: peerISN + 2}
	for name, c := range map[string]struct {
		feed func(*talk)
		want flow.State
	}{
		"FIN of the peer":   {func(c *talk) { c.rx(RecordedFlow, rxFIN) }, flow.StateOpen},
		"FIN of this host":  {func(c *talk) { c.tx(RecordedFlow, txFIN) }, flow.StateOpen},
		"both":              {func(c *talk) { c.rx(RecordedFlow, rxFIN); c.tx(RecordedFlow, txFIN) }, flow.StateClosed},
		"both, other order": {func(c *talk) { c.tx(RecordedFlow, txFIN); c.rx(RecordedFlow, rxFIN) }, flow.StateClosed},
		"FIN twice":         {func(c *talk) { c.rx(RecordedFlow, rxFIN); c.rx(RecordedFlow, rxFIN) }, flow.StateOpen},
		"last ACK": {func(c *talk) {
			c.rx(RecordedFlow, rxFIN)
			c.tx(RecordedFlow, txFIN)
			c.rx(RecordedFlow, segment{flags: ack, seq: peerISN + 2, ack: hostISN + 2})
		}, flow.StateClosed},
		"RST of the peer":  {func(c *talk) { c.rx(RecordedFlow, segment{flags: rst, seq: peerISN + 1}) }, flow.StateClosed},
		"RST of this host": {func(c *talk) { c.tx(RecordedFlow, segment{flags: rst | ack, seq: hostISN + 1}) }, flow.StateClosed},
		"forged RST": {func(c *talk) {
			c.rx(RecordedFlow, segment{flags: rst, seq: 999_999_999})
			c.rxData(0, "GET")
		}, flow.StateOpen},
		"RST, then this host's data": {func(c *talk) {
			c.rx(RecordedFlow, segment{flags: rst, seq: peerISN + 1})
			c.txData(0, "HTTP") // was under way: the RST may be true
		}, flow.StateClosed},
		"RST, then old data": {func(c *talk) {
			c.rxData(0, "GET")
			c.rx(RecordedFlow, segment{flags: rst, seq: peerISN + 4})
			c.rxData(0, "GET")
		}, flow.StateClosed},
	} {
		t.Run(name, func(t *testing.T) {
			k := newOpenTalk(t)
			c.feed(k)
			if got := k.flow().Conn.State; got != c.want {
				t.Errorf("state %d, want %d", got, c.want)
			}
		})
	}
}

func TestForgedRSTMovesNoSequence(t *testing.T) {
	c := newOpenTalk(t)
	before := c.flow().Conn.Dir[flow.RX]
	c.rx(RecordedFlow, segment{flags: rst | ack, seq: 999_999_999, ack: 777_777_777})
	after := c.flow().Conn.Dir[flow.RX]
	same(t, [3]uint32{after.SeqHigh, after.DataHigh, after.AckHigh}, [3]uint32{before.SeqHigh, before.DataHigh, before.AckHigh})
}

func TestTableFull(t *testing.T) {
	c := newTalk(t, midstreamAny)
	for i := range 1024 {
		peer := netip.AddrPortFrom(c.tuple.remote.Addr(), uint16(1+i))
		c.want(RecordedFlow, flow.RX, tuple{c.tuple.local, peer}.tcp(flow.RX, request))
	}
	c.at(9).rx(TableFull, request)
	c.rx(RecordedHalfOpen, segment{flags: syn, seq: peerISN})
	c.tx(RecordedHalfOpen, segment{flags: syn | ack, seq: hostISN, ack: peerISN + 1})
	c.rx(TableFull, segment{flags: ack, seq: peerISN + 1, ack: hostISN + 1})
	if n := count[flow.Record](t, c.Flows); n != 1024 || c.hasFlow() {
		t.Errorf("%d records, want the first 1024", n)
	}
	half := c.halfOpen() // and it can still be promoted when there is room
	if half.State != flow.StateHalfOpen {
		t.Errorf("half-open entry has state %d", half.State)
	}
	must(t, c.Flows.Delete(tuple{c.tuple.local, netip.AddrPortFrom(c.tuple.remote.Addr(), 1)}.key(flow.TCP)))
	c.rx(RecordedFlow, segment{flags: ack, seq: peerISN + 1, ack: hostISN + 1})
}

func TestUDP(t *testing.T) {
	for _, tu := range []tuple{tuple4, tuple6} {
		t.Run(tu.local.String(), func(t *testing.T) {
			k := newKernel(t)
			k.at(0).want(RecordedUDP, flow.RX, tu.udp(flow.RX, "question"))
			k.at(70).want(RecordedUDP, flow.TX, tu.udp(flow.TX, "a much longer answer"))
			k.at(90).want(RecordedUDP, flow.TX, tu.udp(flow.TX, ""))
			headers := uint64(28)
			if tu == tuple6 {
				headers = 48
			}
			want := flow.Conn{State: flow.StateOpen, ID: clockAt(0), Last: clockAt(90)}
			want.Dir[flow.RX] = flow.Direction{
				Packets: 1, Bytes: 8 + headers, Payload: 8, DataPackets: 1, DataHeaders: uint32(headers),
				Ifindex: 1, TTL: 64, FirstLen: 8, FirstPayload: [16]byte{'q', 'u', 'e', 's', 't', 'i', 'o', 'n'},
			}
			want.Dir[flow.TX] = flow.Direction{
				Packets: 2, Bytes: 20 + 2*headers, Payload: 20, DataPackets: 1, DataHeaders: uint32(headers),
				Ifindex: 1, TTL: 64, FirstLen: 16, FirstPayload: [16]byte([]byte("a much longer answer")),
			}
			same(t, k.conn(k.UDP, tu.key(flow.UDP)), want)
		})
	}
}

func TestUDPSegments(t *testing.T) {
	k := newKernel(t)
	k.want(RecordedUDP, flow.TX, tuple4.udp(flow.TX, text(2500)), gso(1200))
	d := k.conn(k.UDP, tuple4.key(flow.UDP)).Dir[flow.TX]
	same(t, [3]uint64{d.Packets, d.Bytes, d.Payload}, [3]uint64{3, 2500 + 3*28, 2500})
}

func TestUDPFloodEvictsUDPOnly(t *testing.T) {
	c := newOpenTalk(t)
	for i := range 3000 {
		peer := netip.AddrPortFrom(c.tuple.remote.Addr(), uint16(1+i))
		c.want(RecordedUDP, flow.RX, tuple{c.tuple.local, peer}.udp(flow.RX, "?"))
	}
	if n := count[flow.Conn](t, c.UDP); n > 1024 || !c.hasFlow() {
		t.Errorf("%d UDP flows with a capacity of 1024; the TCP connection is there: %v", n, c.hasFlow())
	}
}

// hold makes a record's lock word odd, as a writer does that is held up, and returns how to let go.
func (c *talk) hold() (release func()) {
	c.t.Helper()
	set := func(add uint32) {
		var r flow.Record
		must(c.t, c.Flows.Lookup(c.tuple.key(flow.TCP), &r))
		r.Conn.Lock += add
		must(c.t, c.Flows.Put(c.tuple.key(flow.TCP), &r))
	}
	set(1)
	return func() { set(1) }
}

func TestContended(t *testing.T) {
	c := newOpenTalk(t)
	before := c.flow().Conn.Dir[flow.RX]
	release := c.hold()
	late := segment{flags: psh | ack, seq: peerISN + 1, ack: hostISN + 1, payload: text(250)}
	c.rx(Contended, late, gso(100))
	c.rx(Contended, segment{flags: ack, seq: peerISN + 251, ack: hostISN + 1})
	release()

	d := c.flow().Conn.Dir[flow.RX]
	same(t, [2]uint64{d.Late, uint64(d.Contended)}, [2]uint64{4<<48 | 4*40<<25 | 250, 0})
	same(t, [2]uint64{d.Packets, d.Payload}, [2]uint64{before.Packets, before.Payload})
	same(t, d.Lacking(), uint16(4))

	c.rxData(250, text(10))
	d = c.flow().Conn.Dir[flow.RX]
	same(t, [2]uint64{d.Late, uint64(d.Contended)}, [2]uint64{0, 4})
	same(t, [3]uint64{d.Packets, d.Bytes, d.Payload}, [3]uint64{before.Packets + 5, before.Bytes + 250 + 10 + 5*40, 260})
	same(t, d.Lacking(), uint16(4))
}

func TestContendedOtherSide(t *testing.T) {
	c := newOpenTalk(t)
	release := c.hold()
	c.tx(Contended, segment{flags: psh | ack, seq: hostISN + 1, ack: peerISN + 1, payload: text(100)})
	release()
	c.rxData(0, "GET") // folds its own side only
	c.txData(100, text(100))
	d := c.flow().Conn.Dir[flow.TX]
	same(t, [3]uint64{d.Packets, d.Payload, d.Late}, [3]uint64{3, 200, 0})
}

// synOptions are the options of a SYN and what they are to say.
type synOptions struct {
	name    string
	options []byte
	mss     uint16
	wscale  uint8
	seen    uint8
}

func synOptionCases() []synOptions {
	mss, wscale, sack := []byte{2, 4, 5, 180}, []byte{3, 3, 7}, []byte{4, 2}
	stamps := []byte{8, 10, 0, 0, 0, 1, 0, 0, 0, 0}
	all := slices.Concat(mss, sack, stamps, []byte{1}, wscale)
	return []synOptions{
		{"none", nil, 0, 0, 0},
		{"as Linux sends them", all, 1460, 7, synMSS | synWscale | synSACK | synTimestamps},
		{"MSS", mss, 1460, 0, synMSS},
		{"MSS 65535", []byte{2, 4, 255, 255}, 65535, 0, synMSS},
		{"window scale 0", []byte{3, 3, 0, 0}, 0, 0, synWscale},
		{"nothing but NOP", slices.Repeat([]byte{1}, 40), 0, 0, 0},
		{"NOPs, then MSS at the end", slices.Concat(slices.Repeat([]byte{1}, 36), mss), 1460, 0, synMSS},
		{"end of the list before MSS", append([]byte{0, 1, 1, 1}, mss...), 0, 0, 0},
		{"unknown option before MSS", append([]byte{254, 4, 1, 2}, mss...), 1460, 0, synMSS},
		{"option of length 0", append(slices.Clone(mss), 254, 0, 3, 3), 1460, 0, synMSS},
		{"option of length 1", append(slices.Clone(mss), 254, 1, 3, 3), 1460, 0, synMSS},
		{"option longer than the list", append(slices.Clone(mss), 8, 10, 0, 0), 1460, 0, synMSS},
		{"kind as the last byte", append(slices.Clone(mss), 1, 1, 1, 3), 1460, 0, synMSS},
		{"MSS of a wrong length", []byte{2, 3, 5, 1}, 0, 0, 0},
		{"window scale of a wrong length", []byte{3, 4, 7, 7}, 0, 0, 0},
		{"SACK of a wrong length", []byte{4, 4, 0, 0}, 0, 0, 0},
		{"timestamps of a wrong length", []byte{8, 4, 0, 0}, 0, 0, 0},
		{"MSS twice: the last counts", append(slices.Clone(mss), 2, 4, 2, 24), 536, 0, synMSS},
		{"window scale twice: the last counts", []byte{3, 3, 8, 3, 3, 5, 1, 1}, 0, 5, synWscale},
	}
}

func TestSYNOptions(t *testing.T) {
	for _, o := range synOptionCases() {
		t.Run(o.name, func(t *testing.T) {
			c := newTalk(t)
			options := append(slices.Clone(o.options), make([]byte, -len(o.options)&3)...)
			c.rx(RecordedHalfOpen, segment{flags: syn, seq: peerISN, options: options, payload: "\x02\x04\x09\x09"})
			d := c.halfOpen().Dir[flow.RX]
			same(t, [3]int{int(d.SYNMSS), int(d.SYNWscale), int(d.SYNOptions)}, [3]int{int(o.mss), int(o.wscale), int(o.seen)})
			same(t, d.Bytes, uint64(44+len(options)))
		})
	}
}

func TestSYNOptionsReachTheRecord(t *testing.T) {
	c := newTalk(t)
	c.rx(RecordedHalfOpen, segment{flags: syn, seq: peerISN, options: []byte{2, 4, 5, 180}})
	c.tx(RecordedHalfOpen, segment{flags: syn | ack, seq: hostISN, ack: peerISN + 1, options: []byte{2, 4, 3, 3}})
	c.rx(RecordedFlow, segment{flags: ack, seq: peerISN + 1, ack: hostISN + 1})
	r := c.flow()
	same(t, [2]uint16{r.Conn.Dir[flow.RX].SYNMSS, r.Conn.Dir[flow.TX].SYNMSS}, [2]uint16{1460, 771})
}

// TestAckedIsOfData: a repeated acknowledgement moves it no more than one of a FIN does.
func TestAckedIsOfData(t *testing.T) {
	c := newOpenTalk(t)
	c.at(5000).txData(0, text(10))
	c.at(6000).rx(RecordedFlow, segment{flags: ack, seq: peerISN + 1, ack: hostISN + 11})
	c.at(7000).rx(RecordedFlow, segment{flags: ack, seq: peerISN + 1, ack: hostISN + 11})
	c.at(8000).tx(RecordedFlow, segment{flags: fin | ack, seq: hostISN + 11, ack: peerISN + 1})
	c.at(9000).rx(RecordedFlow, segment{flags: ack, seq: peerISN + 1, ack: hostISN + 12})
	r := c.flow()
	same(t, r.Conn.Dir[flow.RX].Acked, ackedAt(6000))
	same(t, r.Conn.Dir[flow.RX].AckedTime(r.Conn.Last), clockAt(6000)>>10<<10)
}
