package bpf

import (
	"bytes"
	"testing"
	"time"
	"unsafe"

	"fivetuple/correlator/flow"
)

// replayTalk is a connection whose packets are replayed, a millisecond apart.
type replayTalk struct {
	*Replay
	t     testing.TB
	tuple tuple
	fed   uint64
}

func newReplayTalk(t testing.TB) *replayTalk {
	t.Helper()
	needRoot(t)
	r, err := NewReplay(1, 1)
	must(t, err)
	t.Cleanup(func() { _ = r.Close() })
	return &replayTalk{Replay: r, t: t, tuple: tuple4}
}

func (c *replayTalk) feed(dir int, frame []byte) {
	c.t.Helper()
	proto := frame[23] // IPv4 without tags
	must(c.t, c.Packet(Packet{
		Data: frame, Length: len(frame), RX: dir == flow.RX,
		Time: time.UnixMilli(int64(c.fed)), Key: c.tuple.key(proto),
	}))
	c.fed++
}

func (c *replayTalk) segment(dir int, s segment) {
	c.t.Helper()
	c.feed(dir, c.tuple.tcp(dir, s))
}

// open makes a connection and sends a request on it.
func (c *replayTalk) open(peer, host uint32, request string) {
	c.t.Helper()
	c.segment(flow.RX, segment{flags: syn, seq: peer})
	c.segment(flow.TX, segment{flags: syn | ack, seq: host, ack: peer + 1})
	c.segment(flow.RX, segment{flags: psh | ack, seq: peer + 1, ack: host + 1, payload: request})
}

func (c *replayTalk) records() (all []flow.Record) {
	c.t.Helper()
	must(c.t, c.Each(func(g *Generation) { all = append(all, g.Record) }))
	return all
}

// TestReplayTXFirst: who sent the first payload of each generation is known, however many exchanges followed.
func TestReplayTXFirst(t *testing.T) {
	c := newReplayTalk(t)
	for i, first := range []int{flow.TX, flow.RX, flow.TX} {
		peer, host := uint32(1000+i*1000), uint32(5000+i*1000)
		c.open(peer, host, "")
		for n := range uint32(2*i + 8) { // in turns, a byte each
			sent := [2]uint32{n / 2, n / 2}
			dir := first
			if n%2 == 1 {
				dir = 1 - first
				sent[first]++
			}
			next := segment{flags: psh | ack, seq: peer + 1 + sent[flow.RX], ack: host + 1 + sent[flow.TX], payload: "x"}
			if dir == flow.TX {
				next.seq, next.ack = next.ack, next.seq
			}
			c.segment(dir, next)
		}
	}
	var got []bool
	must(t, c.Each(func(g *Generation) { got = append(got, g.TXFirst) }))
	if len(got) != 3 || !got[0] || got[1] || !got[2] {
		t.Errorf("this side first: %v, want true, false, true", got)
	}
}

// TestReplayKeepsGenerations: a 5-tuple that is used again has a record for each connection, also one that never opened.
func TestReplayKeepsGenerations(t *testing.T) {
	c := newReplayTalk(t)
	requests := []string{"a", "bb", "ccc"}
	for i, request := range requests {
		c.open(uint32(1000+i*1000), uint32(5000+i*1000), request)
	}
	c.segment(flow.RX, segment{flags: syn, seq: 9000})
	got := c.records()
	if len(got) != 4 {
		t.Fatalf("%d records, want 4", len(got))
	}
	for i, request := range requests {
		rx := got[i].Conn.Dir[flow.RX]
		if rx.Packets != 2 || rx.Payload != uint64(len(request)) || string(rx.First()) != request {
			t.Errorf("generation %d: %d packets, %d bytes of payload, %q", i+1, rx.Packets, rx.Payload, rx.First())
		}
	}
	if last := got[3].Conn; last.State != flow.StateHalfOpen || last.Dir[flow.RX].Packets != 1 {
		t.Errorf("the last SYN: %v, %d packets", last.State, last.Dir[flow.RX].Packets)
	}
}

// TestReplayStartsAtTimeZero: a packet's time may be 0, which to the program means that it was not seen.
func TestReplayStartsAtTimeZero(t *testing.T) {
	c := newReplayTalk(t)
	c.open(1000, 5000, "x")
	r := c.records()[0].Conn
	if r.SYN == 0 || r.SYNACK-r.SYN != 1e6 || r.ACK-r.SYNACK != 1e6 {
		t.Errorf("SYN %d, SYN-ACK %d, ACK %d, want a millisecond between them", r.SYN, r.SYNACK, r.ACK)
	}
}

// TestReplaySYNData: data that came with a SYN is exchange 1, also while the connection is half-open.
func TestReplaySYNData(t *testing.T) {
	c := newReplayTalk(t)
	c.segment(flow.RX, segment{flags: syn, seq: 1000, payload: "GET"})
	c.feed(flow.RX, c.tuple.udp(flow.RX, "query"))
	got := c.records()
	if len(got) != 2 || got[0].Exchange != 1 || got[1].Exchange != 0 {
		t.Errorf("want exchange 1 of the half-open connection, and none of UDP: %+v", got)
	}
}

// TestReplayTakesEveryLength: whatever a capture has of a packet, the program counts it once.
func TestReplayTakesEveryLength(t *testing.T) {
	c := newReplayTalk(t)
	fed := uint64(0)
	for _, whole := range [][]byte{
		tuple4.tcp(flow.RX, segment{flags: syn, payload: text(40)}),
		tuple6.tcp(flow.RX, segment{flags: syn, payload: text(40)}),
		ethernet(nil, etherARP, make([]byte, 80)),
		ethernet([]int{tag8021Q}, etherIPv6, make([]byte, 80)),
		tuple4.tcp(flow.RX, segment{flags: ack, payload: text(60_000)}),
	} {
		for _, captured := range append(upTo(90), len(whole)) {
			data := whole[:captured]
			before := bytes.Clone(data)
			if err := c.Packet(Packet{Data: data, Length: len(whole), RX: true, Time: time.Unix(1, 0)}); err != nil {
				t.Errorf("EtherType %x, %d of %d bytes: %v", whole[12:14], captured, len(whole), err)
			}
			if !bytes.Equal(data, before) {
				t.Fatal("the frame was changed")
			}
			fed++
		}
	}
	reasons, err := c.Reasons()
	must(t, err)
	var counted uint64
	for _, n := range reasons[flow.RX] {
		counted += n
	}
	if counted != fed {
		t.Errorf("%d packets have a reason, want %d", counted, fed)
	}
}

func upTo(n int) (all []int) {
	for i := range n {
		all = append(all, i)
	}
	return all
}

func TestFrameLimitsFit(t *testing.T) {
	limits := frameLimits{shortest: map[uint16]int{0: 14, etherIPv4: 34, etherIPv6: 54}, longest: 100}
	for name, c := range map[string]struct{ had, want int }{
		"nothing": {0, 14}, "short": {13, 14}, "exact": {14, 14}, "long": {101, 100},
	} {
		if got := limits.fit(make([]byte, c.had)); len(got) != c.want {
			t.Errorf("%s: %d bytes, want %d", name, len(got), c.want)
		}
	}
	if got := limits.fit(ethernet(nil, etherIPv4, nil)[:13]); len(got) != 34 {
		t.Errorf("an EtherType of IPv4 by its first byte and a zero: %d bytes, want 34", len(got))
	}
	for etherType, want := range map[int]int{etherARP: 20, etherIPv4: 34, etherIPv6: 54} {
		frame := ethernet(nil, etherType, []byte("abcdef"))
		got := limits.fit(frame)
		if len(got) != want || !bytes.Equal(got[:20], frame) || len(bytes.Trim(got[20:], "\x00")) != 0 {
			t.Errorf("EtherType %x: %x, want %d bytes", etherType, got, want)
		}
	}
}

// TestReplayTablesFit: no flow of a capture may make room for another.
func TestReplayTablesFit(t *testing.T) {
	for _, n := range []int{0, 1, 1000, 100_000} {
		o := replayTables(n, n)
		if int(o.Flows) < n || int(o.HalfOpen) < 2*n || int(o.UDP) < 2*n || int(o.Holes) < 2*n || o.Flows < minEntries {
			t.Errorf("%d flows: %+v", n, o)
		}
	}
	if o := replayTables(1<<40, 1<<40); o != (TableOptions{maxEntries, maxEntries, maxEntries, maxEntries, maxEntries, minEntries}) {
		t.Errorf("too many flows: %+v", o)
	}
}

// TestSkbContext holds the offsets of linux/bpf.h, struct __sk_buff.
func TestSkbContext(t *testing.T) {
	var c skbContext
	same(t, [3]uintptr{unsafe.Offsetof(c.CB), unsafe.Offsetof(c.Tstamp), unsafe.Sizeof(c)}, [3]uintptr{48, 152, 192})
}
