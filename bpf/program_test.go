package bpf

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"fivetuple/correlator/flow"
)

// Initial sequence numbers: of the peer (rx) and of this host (tx).
const (
	peerISN = 1000
	hostISN = 5000
)

// talk is a connection that is fed segment by segment.
type talk struct {
	*kernel
	tuple tuple
}

func newTalk(t testing.TB, set ...func(*Options)) *talk {
	t.Helper()
	return &talk{newKernel(t, set...), tuple4}
}

// newOpenTalk has its handshake behind it: accepted by this host, at 0, 100 and 1100 microseconds.
func newOpenTalk(t testing.TB) *talk {
	t.Helper()
	c := newTalk(t)
	c.open(peerISN, hostISN)
	return c
}

func (c *talk) open(peer, host uint32) {
	c.t.Helper()
	c.at(0).rx(RecordedHalfOpen, segment{flags: syn, seq: peer})
	c.at(100).tx(RecordedHalfOpen, segment{flags: syn | ack, seq: host, ack: peer + 1})
	c.at(1100).rx(RecordedFlow, segment{flags: ack, seq: peer + 1, ack: host + 1})
}

func (c *talk) at(us uint64) *talk {
	c.kernel.at(us)
	return c
}

func (c *talk) rx(want Reason, s segment, set ...func(*skb)) {
	c.t.Helper()
	c.want(want, flow.RX, c.tuple.tcp(flow.RX, s), set...)
}

func (c *talk) tx(want Reason, s segment, set ...func(*skb)) {
	c.t.Helper()
	c.want(want, flow.TX, c.tuple.tcp(flow.TX, s), set...)
}

// rxData and txData feed a segment of the open connection; its offset counts from the first byte of payload.
func (c *talk) rxData(offset int, payload string, set ...func(*skb)) {
	c.t.Helper()
	c.rx(RecordedFlow, segment{flags: psh | ack, seq: peerISN + 1 + uint32(offset), ack: hostISN + 1, payload: payload}, set...)
}

func (c *talk) txData(offset int, payload string, set ...func(*skb)) {
	c.t.Helper()
	c.tx(RecordedFlow, segment{flags: psh | ack, seq: hostISN + 1 + uint32(offset), ack: peerISN + 1, payload: payload}, set...)
}

func (c *talk) flow() flow.Record {
	c.t.Helper()
	return c.record(c.tuple.key(flow.TCP))
}

func (c *talk) halfOpen() flow.Conn {
	c.t.Helper()
	var h flow.Handshake
	must(c.t, c.HalfOpen.Lookup(c.tuple.key(flow.TCP), &h))
	h.Conn.Lock, h.Conn.Tag = 0, 0
	return h.Conn
}

func (c *talk) hasFlow() bool { return has[flow.Record](c.Flows, c.tuple.key(flow.TCP)) }

// hasHalfOpen says whether there is an entry that has not moved to the flow table.
func (c *talk) hasHalfOpen() bool {
	return has[flow.Handshake](c.HalfOpen, c.tuple.key(flow.TCP)) && c.halfOpen().State != flow.StatePromoted
}

func text(n int) string { return strings.Repeat("x", n) }

// handshakeDirections are both sides after a handshake without options that this host accepted.
func handshakeDirections() [2]flow.Direction {
	known := uint8(flow.KnownISN | flow.KnownSeq | flow.KnownAck)
	return [2]flow.Direction{
		flow.RX: {
			Packets: 2, Bytes: 80, ISN: peerISN, SeqHigh: peerISN + 1, DataHigh: peerISN + 1, AckHigh: hostISN + 1,
			Ifindex: 1, Flags: syn | ack, Known: known | flow.KnownOpener, TTL: 64,
			Acked: ackedAt(1100),
		},
		flow.TX: {
			Packets: 1, Bytes: 40, ISN: hostISN, SeqHigh: hostISN + 1, DataHigh: hostISN + 1, AckHigh: peerISN + 1,
			Ifindex: 1, Flags: syn | ack, Known: known, TTL: 64, Acked: ackedAt(100),
		},
	}
}

func TestHandshakeAccepted(t *testing.T) {
	for _, tu := range []tuple{tuple4, tuple6} {
		t.Run(tu.local.String(), func(t *testing.T) {
			c := &talk{newKernel(t), tu}
			c.open(peerISN, hostISN)
			want := flow.Record{
				Conn: flow.Conn{
					State: flow.StateOpen, Origin: flow.OriginHandshake, ID: clockAt(0), Last: clockAt(1100),
					SYN: clockAt(0), SYNACK: clockAt(100), ACK: clockAt(1100), Dir: handshakeDirections(),
					RXWindow: 1000,
				},
				RTT:  flow.RoundTrip{SmoothedUS8: 8000, VarUS4: 2000, MinUS: 1000},
				Ring: [flow.Exchanges]flow.Exchange{{Seq: [2]uint32{peerISN + 1, hostISN + 1}}},
			}
			if tu == tuple6 {
				want.Conn.Dir[flow.RX].Bytes, want.Conn.Dir[flow.TX].Bytes = 120, 60
			}
			same(t, c.flow(), want)
			if c.hasHalfOpen() {
				t.Error("the half-open entry stayed")
			}
		})
	}
}

func TestHandshakeHalfway(t *testing.T) {
	c := newTalk(t)
	c.at(0).rx(RecordedHalfOpen, segment{flags: syn, seq: peerISN})
	c.at(100).tx(RecordedHalfOpen, segment{flags: syn | ack, seq: hostISN, ack: peerISN + 1})
	want := flow.Conn{ID: clockAt(0), Last: clockAt(100), SYN: clockAt(0), SYNACK: clockAt(100), Dir: handshakeDirections()}
	rx := &want.Dir[flow.RX]
	rx.Packets, rx.Bytes, rx.Flags, rx.AckHigh, rx.Acked, rx.Known = 1, 40, syn, 0, 0, flow.KnownISN|flow.KnownSeq|flow.KnownOpener
	same(t, c.halfOpen(), want)
	if c.hasFlow() {
		t.Error("a half-open connection has a record")
	}
}

func TestHandshakeConnected(t *testing.T) {
	c := newTalk(t)
	c.at(0).tx(RecordedHalfOpen, segment{flags: syn, seq: hostISN})
	c.at(700).rx(RecordedFlow, segment{flags: syn | ack, seq: peerISN, ack: hostISN + 1})
	c.at(710).tx(RecordedFlow, segment{flags: ack, seq: hostISN + 1, ack: peerISN + 1})
	r := c.flow()
	same(t, [3]uint64{r.Conn.SYN, r.Conn.SYNACK, r.Conn.ACK}, [3]uint64{clockAt(0), clockAt(700), clockAt(710)})
	same(t, r.RTT, flow.RoundTrip{SmoothedUS8: 5600, VarUS4: 1400, MinUS: 700})
	same(t, [2]uint64{r.Conn.Dir[flow.RX].Packets, r.Conn.Dir[flow.TX].Packets}, [2]uint64{1, 2})
}

// TestHandshakeNotCompleted feeds what must not move a half-open connection to the flow table.
func TestHandshakeNotCompleted(t *testing.T) {
	for name, s := range map[string]segment{
		"ACK of nothing":         {flags: ack, seq: peerISN + 1, ack: hostISN},
		"ACK of the future":      {flags: ack, seq: peerISN + 1, ack: hostISN + 2},
		"ACK half the space off": {flags: ack, seq: peerISN + 1, ack: hostISN + 1 + 1<<31},
		"RST with ACK":           {flags: rst | ack, seq: peerISN + 1, ack: hostISN + 1},
		"no ACK flag":            {flags: psh, seq: peerISN + 1, ack: hostISN + 1},
		"SYN again":              {flags: syn, seq: peerISN},
	} {
		t.Run(name, func(t *testing.T) {
			c := newTalk(t)
			c.rx(RecordedHalfOpen, segment{flags: syn, seq: peerISN})
			c.tx(RecordedHalfOpen, segment{flags: syn | ack, seq: hostISN, ack: peerISN + 1})
			c.rx(RecordedHalfOpen, s)
			if c.hasFlow() {
				t.Error("the connection has a record")
			}
			if n := c.halfOpen().Dir[flow.RX].Packets; n != 2 {
				t.Errorf("%d rx packets on the half-open entry, want 2", n)
			}
		})
	}
}

func TestTxSideDoesNotComplete(t *testing.T) {
	c := newTalk(t)
	c.rx(RecordedHalfOpen, segment{flags: syn, seq: peerISN})
	c.tx(RecordedHalfOpen, segment{flags: ack, seq: hostISN + 1, ack: peerISN + 1})
	if c.hasFlow() {
		t.Error("this host's own ACK gave the connection a record")
	}
}

func TestSYNFloodEvictsNoRecord(t *testing.T) {
	c := newOpenTalk(t)
	before := c.flow()
	for i := range 4 * 1024 {
		peer := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)}), 4000)
		c.want(RecordedHalfOpen, flow.RX, tuple{c.tuple.local, peer}.tcp(flow.RX, segment{flags: syn, seq: uint32(i)}))
	}
	same(t, c.flow(), before)
	if n := count[flow.Handshake](t, c.HalfOpen); n > 1024 {
		t.Errorf("%d half-open entries, the capacity is 1024", n)
	}
	if n := count[flow.Record](t, c.Flows); n != 1 {
		t.Errorf("%d records, want 1", n)
	}
}

func TestRepeatedSYN(t *testing.T) {
	c := newTalk(t)
	c.at(0).rx(RecordedHalfOpen, segment{flags: syn, seq: peerISN})
	c.at(500).rx(RecordedHalfOpen, segment{flags: syn, seq: peerISN})
	half := c.halfOpen()
	d := half.Dir[flow.RX]
	same(t, [2]uint64{half.ID, half.SYN}, [2]uint64{clockAt(0), clockAt(0)})
	same(t, [4]uint64{d.Packets, uint64(d.Retransmitted), uint64(d.SeqHigh), half.Last},
		[4]uint64{2, 1, peerISN + 1, clockAt(500)})
}

func TestRepeatedSYNOnFlow(t *testing.T) {
	c := newOpenTalk(t)
	c.rx(RecordedFlow, segment{flags: syn, seq: peerISN})
	r := c.flow()
	if r.Conn.Dir[flow.RX].Retransmitted != 1 || r.Reopened != 0 || c.hasHalfOpen() {
		t.Errorf("a repeated SYN: retransmitted %d, reopened %d, half-open %v",
			r.Conn.Dir[flow.RX].Retransmitted, r.Reopened, c.hasHalfOpen())
	}
}

func TestRepeatedSYNACKGivesNoSample(t *testing.T) {
	c := newTalk(t)
	c.at(0).rx(RecordedHalfOpen, segment{flags: syn, seq: peerISN})
	c.at(100).tx(RecordedHalfOpen, segment{flags: syn | ack, seq: hostISN, ack: peerISN + 1})
	c.at(900).tx(RecordedHalfOpen, segment{flags: syn | ack, seq: hostISN, ack: peerISN + 1})
	c.at(1000).rx(RecordedFlow, segment{flags: ack, seq: peerISN + 1, ack: hostISN + 1})
	r := c.flow()
	same(t, r.RTT, flow.RoundTrip{})
	same(t, [2]uint64{r.Conn.SYNACK, uint64(r.Conn.Dir[flow.TX].Retransmitted)}, [2]uint64{clockAt(100), 1})
}

func TestNewISNIsNewGeneration(t *testing.T) {
	for _, closed := range []bool{true, false} {
		t.Run(fmt.Sprintf("closed=%v", closed), func(t *testing.T) {
			c := newOpenTalk(t)
			c.rxData(0, "GET / HTTP/1.1\r\n\r\n")
			if closed {
				c.tx(RecordedFlow, segment{flags: rst, seq: hostISN + 1})
			}
			c.at(10_000).rx(RecordedHalfOpen, segment{flags: syn, seq: 70_000})
			c.at(10_010).tx(RecordedHalfOpen, segment{flags: syn | ack, seq: 90_000, ack: 70_001})
			c.at(10_300).rx(RecordedFlow, segment{flags: ack, seq: 70_001, ack: 90_001})
			r := c.flow()
			same(t, [4]uint64{r.Conn.ID, r.Conn.SYN, r.Conn.SYNACK, r.Conn.ACK},
				[4]uint64{clockAt(10_000), clockAt(10_000), clockAt(10_010), clockAt(10_300)})
			same(t, [5]uint64{r.Conn.Dir[0].Packets, r.Conn.Dir[0].Payload, uint64(r.Conn.State), uint64(r.Exchange), uint64(r.Reopened)},
				[5]uint64{2, 0, uint64(flow.StateOpen), 0, 0})
			same(t, [2]uint32{r.Conn.Dir[flow.RX].ISN, r.Conn.Dir[flow.TX].ISN}, [2]uint32{70_000, 90_000})
			same(t, r.Ring, [flow.Exchanges]flow.Exchange{{Seq: [2]uint32{70_001, 90_001}}})
		})
	}
}

func TestSpoofedSYNChangesNothing(t *testing.T) {
	c := newOpenTalk(t)
	before := c.flow()
	c.at(2000).rx(RecordedHalfOpen, segment{flags: syn, seq: 123_456_789})
	after := c.flow()
	after.Reopened = 0 // says where to look, and nothing of the connection
	same(t, after, before)

	// What the old connection sends goes on being counted there: also the ACK by which this host questions the SYN.
	c.at(2010).tx(RecordedFlow, segment{flags: ack, seq: hostISN + 1, ack: peerISN + 1})
	c.at(2020).rxData(0, "GET")
	c.at(2030).txData(0, "HTTP")
	r := c.flow()
	same(t, [4]uint64{r.Conn.Dir[0].Packets, r.Conn.Dir[1].Packets, r.Conn.Dir[0].Payload, uint64(r.Exchange)}, [4]uint64{3, 3, 3, 1})
	if n := c.halfOpen().Dir[flow.RX].Packets; n != 1 {
		t.Errorf("%d packets on the spoofed SYN's entry, want 1", n)
	}
}

// TestForgedRSTAndSYNLoseNoRecord: both can be sent by anybody who knows the 5-tuple, and the sockets ignore both.
func TestForgedRSTAndSYNLoseNoRecord(t *testing.T) {
	c := newOpenTalk(t)
	c.rx(RecordedFlow, segment{flags: rst, seq: 999_999_999})
	c.rx(RecordedHalfOpen, segment{flags: syn, seq: 123_456_789})
	c.rxData(0, "GET")
	c.txData(0, "HTTP")
	r := c.flow()
	same(t, [3]uint64{uint64(r.Conn.State), r.Conn.Dir[0].Payload, r.Conn.Dir[1].Payload}, [3]uint64{uint64(flow.StateOpen), 3, 4})
}

// TestSpoofedSYNBeforeMidstream: a SYN that nobody answers must not hide an older connection that is first seen now.
func TestSpoofedSYNBeforeMidstream(t *testing.T) {
	c := newTalk(t, midstreamAny)
	c.rx(RecordedHalfOpen, segment{flags: syn, seq: 123_456_789})
	c.rx(RecordedFlow, request)
	if p := c.flow().Conn.Dir[flow.RX].Payload; p != uint64(len(request.payload)) {
		t.Errorf("payload is %d", p)
	}
}

func TestRSTAnswersSYN(t *testing.T) {
	c := newTalk(t)
	c.rx(RecordedHalfOpen, segment{flags: syn, seq: peerISN})
	c.tx(RecordedHalfOpen, segment{flags: rst | ack, ack: peerISN + 1})
	half := c.halfOpen()
	if half.Dir[flow.TX].Packets != 1 || half.Dir[flow.TX].Flags != rst|ack || half.Dir[flow.TX].Known != 0 {
		t.Errorf("tx side after a refusal: %+v", half.Dir[flow.TX])
	}
	if c.hasFlow() {
		t.Error("a refused connection has a record")
	}
}

// TestSYNCookies: the SYN's entry was evicted by others; the SYN-ACK makes one again.
func TestSYNCookies(t *testing.T) {
	c := newTalk(t)
	c.at(100).tx(RecordedHalfOpen, segment{flags: syn | ack, seq: hostISN, ack: peerISN + 1})
	c.at(900).rx(RecordedFlow, segment{flags: ack, seq: peerISN + 1, ack: hostISN + 1})
	c.at(950).rxData(0, "GET / HTTP/1.1\r\n\r\n")
	r := c.flow()
	same(t, [3]uint64{r.Conn.SYN, r.Conn.SYNACK, r.Conn.ACK}, [3]uint64{0, clockAt(100), clockAt(900)})
	same(t, [3]uint32{r.RTT.MinUS, r.Exchange, r.Conn.Dir[flow.RX].DataHigh}, [3]uint32{800, 1, peerISN + 19})
}

func TestFastOpen(t *testing.T) {
	c := newTalk(t)
	c.at(0).rx(RecordedHalfOpen, segment{flags: syn, seq: peerISN, payload: "GET / HTTP/1.1\r\n\r\n"})
	c.at(10).tx(RecordedFlow, segment{flags: syn | ack, seq: hostISN, ack: peerISN + 19})
	r := c.flow()
	same(t, [2]uint64{uint64(r.Exchange), r.Conn.Dir[flow.RX].Payload}, [2]uint64{1, 18})
	same(t, r.Ring[1], flow.Exchange{
		First: [2]flow.Stamp{stampAt(0), {}}, Last: [2]flow.Stamp{stampAt(0), {}},
		Seq: [2]uint32{peerISN + 1, hostISN + 1}, RXMin: 58, RXMax: 58,
	})
	c.at(20).txData(0, "HTTP/1.1 200 OK\r\n\r\n") // before the peer's ACK
	c.at(600).rx(RecordedFlow, segment{flags: ack, seq: peerISN + 19, ack: hostISN + 20})
	r = c.flow()
	same(t, [2]uint64{r.Conn.SYNACK, r.Conn.ACK}, [2]uint64{clockAt(10), clockAt(600)})
	same(t, r.RTT.MinUS, uint32(580))
	if span := r.Since(&r.Ring[1], flow.RX); span != (flow.Span{Packets: 1, Bytes: 58, Payload: 18, Length: 18}) {
		t.Errorf("rx span of exchange 1 is %+v", span)
	}
	if span := r.Since(&r.Ring[1], flow.TX); span != (flow.Span{Packets: 1, Bytes: 59, Payload: 19, Length: 19}) {
		t.Errorf("tx span of exchange 1 is %+v", span)
	}
}

func TestFastOpenDataRefused(t *testing.T) {
	c := newTalk(t)
	c.at(0).rx(RecordedHalfOpen, segment{flags: syn, seq: peerISN, payload: "GET"})
	c.at(10).tx(RecordedHalfOpen, segment{flags: syn | ack, seq: hostISN, ack: peerISN + 1})
	c.at(50).rx(RecordedFlow, segment{flags: ack, seq: peerISN + 1, ack: hostISN + 1, payload: "GET"})
	r := c.flow()
	span := r.Since(&r.Ring[1], flow.RX)
	if r.Exchange != 1 || span.Length != 3 || span.Payload != 6 || r.Conn.Dir[flow.RX].Retransmitted != 1 {
		t.Errorf("exchange %d, span %+v, retransmitted %d", r.Exchange, span, r.Conn.Dir[flow.RX].Retransmitted)
	}
}

func TestSimultaneousOpen(t *testing.T) {
	c := newTalk(t)
	c.at(0).tx(RecordedHalfOpen, segment{flags: syn, seq: hostISN})
	c.at(10).rx(RecordedHalfOpen, segment{flags: syn, seq: peerISN})
	c.at(20).tx(RecordedHalfOpen, segment{flags: syn | ack, seq: hostISN, ack: peerISN + 1})
	c.at(30).rx(RecordedFlow, segment{flags: syn | ack, seq: peerISN, ack: hostISN + 1})
	c.at(40).rxData(0, "GET")
	r := c.flow()
	same(t, [4]uint64{r.Conn.SYN, r.Conn.SYNACK, r.Conn.Dir[0].Packets, r.Conn.Dir[1].Packets}, [4]uint64{clockAt(0), clockAt(20), 3, 2})
	same(t, [2]uint32{r.Conn.Dir[0].SeqHigh, r.Conn.Dir[1].SeqHigh}, [2]uint32{peerISN + 4, hostISN + 1})
}

func TestSplitHandshake(t *testing.T) {
	c := newTalk(t)
	c.rx(RecordedHalfOpen, segment{flags: syn, seq: peerISN})
	c.tx(RecordedHalfOpen, segment{flags: ack, ack: peerISN + 1})
	c.tx(RecordedHalfOpen, segment{flags: syn, seq: hostISN})
	c.rx(RecordedFlow, segment{flags: syn | ack, seq: peerISN, ack: hostISN + 1})
	c.tx(RecordedFlow, segment{flags: ack, seq: hostISN + 1, ack: peerISN + 1})
	c.rxData(0, "GET")
	r := c.flow()
	same(t, [4]uint64{r.Conn.Dir[0].Packets, r.Conn.Dir[1].Packets, r.Conn.Dir[0].Payload, uint64(r.Exchange)}, [4]uint64{3, 3, 3, 1})
}

// TestSplitHandshakeHasNoThirdStep: who opened has answered, too; the round trip between the two is nobody's.
func TestSplitHandshakeHasNoThirdStep(t *testing.T) {
	c := newTalk(t)
	c.at(0).rx(RecordedHalfOpen, segment{flags: syn, seq: peerISN})
	c.at(10).tx(RecordedHalfOpen, segment{flags: syn, seq: hostISN})
	c.at(20).rx(RecordedFlow, segment{flags: syn | ack, seq: peerISN, ack: hostISN + 1})
	c.at(30).tx(RecordedFlow, segment{flags: ack, seq: hostISN + 1, ack: peerISN + 1})
	r := c.flow()
	same(t, [3]uint64{r.Conn.SYN, r.Conn.SYNACK, r.Conn.ACK}, [3]uint64{clockAt(0), clockAt(20), 0})
}

// TestSYNBehindItsAnswer: captures of several queues can have it so. It is the connection's SYN, and no new one.
func TestSYNBehindItsAnswer(t *testing.T) {
	c := newTalk(t)
	c.at(100).tx(RecordedHalfOpen, segment{flags: syn | ack, seq: hostISN, ack: peerISN + 1})
	c.at(200).rx(RecordedFlow, segment{flags: ack, seq: peerISN + 1, ack: hostISN + 1})
	c.at(300).rx(RecordedFlow, segment{flags: syn, seq: peerISN})
	r := c.flow()
	same(t, [3]uint64{r.Conn.SYN, r.Conn.SYNACK, r.Conn.ACK}, [3]uint64{clockAt(300), clockAt(100), clockAt(200)})
	if c.hasHalfOpen() {
		t.Error("it made a half-open entry")
	}
}

func TestMidstreamWithoutSocket(t *testing.T) {
	for _, tu := range []tuple{tuple4, tuple6} {
		c := &talk{newKernel(t), tu}
		c.rx(NoConnection, request)
		c.tx(NoConnection, segment{flags: ack, seq: 1, ack: 1})
		if c.hasFlow() || c.hasHalfOpen() {
			t.Errorf("%v: a connection without a socket has an entry", tu)
		}
	}
}

func TestMidstreamAny(t *testing.T) {
	c := newTalk(t, midstreamAny)
	c.at(50).rx(RecordedFlow, request)
	payload := uint64(len(request.payload))
	want := flow.Record{
		Conn:     flow.Conn{State: flow.StateOpen, Origin: flow.OriginMidstream, ID: clockAt(50), Last: clockAt(50), RXWindow: 1000},
		Exchange: 1, // and nothing of the side that was not seen
	}
	want.Conn.Dir[flow.RX] = flow.Direction{
		Packets: 1, Bytes: payload + 40, Payload: payload, DataPackets: 1, DataHeaders: 40,
		SeqHigh: 1019, DataHigh: 1019, AckHigh: 5001, Ifindex: 1, Flags: psh | ack, FirstLen: 16,
		Known: flow.KnownSeq | flow.KnownAck | flow.KnownLacking, TTL: 64, Acked: ackedAt(50), FirstPayload: [16]byte([]byte(request.payload)),
	}
	want.Ring[0].Seq[flow.RX] = 1001
	want.Ring[1] = flow.Exchange{
		First: [2]flow.Stamp{stampAt(50)}, Last: [2]flow.Stamp{stampAt(50)}, Seq: [2]uint32{1001}, RXMin: 58, RXMax: 58,
	}
	same(t, c.flow(), want)
}

// TestMidstreamRST: a RST stands for no connection of this host; where all traffic is recorded, it is one more packet.
func TestMidstreamRST(t *testing.T) {
	c := newTalk(t)
	c.rx(NoConnection, segment{flags: rst, seq: 1})
	c = newTalk(t, midstreamAny)
	c.rx(RecordedFlow, segment{flags: rst, seq: 1})
	same(t, c.flow().Conn.Dir[flow.RX].Flags, uint16(rst))
}

// TestFINBeforeItsData: the data that a FIN overtook brings nothing above the highest, and so begins no exchange.
func TestFINBeforeItsData(t *testing.T) {
	c := newOpenTalk(t)
	c.rx(RecordedFlow, segment{flags: fin | ack, seq: peerISN + 11, ack: hostISN + 1})
	c.rxData(0, text(10))
	r := c.flow()
	same(t, [2]uint32{r.Exchange, r.Conn.Dir[flow.RX].OutOfOrder}, [2]uint32{0, 1})
}
