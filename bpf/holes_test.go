package bpf

import (
	"testing"

	"fivetuple/correlator/flow"
)

// disorder are the figures of a direction that tell late segments from those sent again.
type disorder struct{ Retransmitted, OutOfOrder, Holes, Forgotten int }

func (c *talk) disorder(dir int) disorder {
	c.t.Helper()
	d := c.flow().Conn.Dir[dir]
	return disorder{int(d.Retransmitted), int(d.OutOfOrder), int(d.Holes), int(d.HolesForgotten)}
}

// data is a segment of 10 bytes, by its number.
func data(dir int, number int) func(*talk) {
	return func(c *talk) { c.data(dir, 10*number, text(10)) }
}

func (c *talk) data(dir, offset int, payload string, set ...func(*skb)) {
	c.t.Helper()
	if dir == flow.RX {
		c.rxData(offset, payload, set...)
	} else {
		c.txData(offset, payload, set...)
	}
}

func TestHoles(t *testing.T) {
	for name, c := range map[string]struct {
		numbers []int
		want    disorder
	}{
		"in order":              {[]int{0, 1, 2}, disorder{}},
		"a hole":                {[]int{0, 2}, disorder{Holes: 1}},
		"filled":                {[]int{0, 2, 1}, disorder{OutOfOrder: 1}},
		"filled twice":          {[]int{0, 2, 1, 1}, disorder{Retransmitted: 1, OutOfOrder: 1}},
		"not the hole":          {[]int{0, 2, 0, 2}, disorder{Retransmitted: 2, Holes: 1}},
		"two of three filled":   {[]int{0, 2, 4, 6, 3, 5}, disorder{OutOfOrder: 2, Holes: 1}},
		"from its left":         {[]int{0, 4, 1}, disorder{OutOfOrder: 1, Holes: 1}},
		"from its right":        {[]int{0, 4, 3}, disorder{OutOfOrder: 1, Holes: 1}},
		"split":                 {[]int{0, 4, 2}, disorder{OutOfOrder: 1, Holes: 2}},
		"split and filled":      {[]int{0, 4, 2, 3, 1}, disorder{OutOfOrder: 3}},
		"split and again":       {[]int{0, 4, 2, 2}, disorder{OutOfOrder: 1, Retransmitted: 1, Holes: 2}},
		"the first byte's hole": {[]int{1, 0}, disorder{OutOfOrder: 1}},
	} {
		for dir, side := range []string{"rx", "tx"} {
			t.Run(name+" "+side, func(t *testing.T) {
				k := newOpenTalk(t)
				for _, n := range c.numbers {
					data(dir, n)(k)
				}
				same(t, k.disorder(dir), c.want)
				same(t, k.disorder(1-dir), disorder{})
				entries := min(c.want.Holes, 1)
				if got := count[flow.Holes](t, k.Holes); got != entries {
					t.Errorf("%d entries in the table of holes, want %d", got, entries)
				}
			})
		}
	}
}

// TestHolesAcrossWrap: sequence numbers compare modulo 2^32.
func TestHolesAcrossWrap(t *testing.T) {
	c := newTalk(t)
	c.open(^uint32(0)-15, hostISN)
	c.rx(RecordedFlow, segment{flags: ack, seq: 4, ack: hostISN + 1, payload: text(10)})
	c.rx(RecordedFlow, segment{flags: ack, seq: ^uint32(0) - 14, ack: hostISN + 1, payload: text(10)})
	same(t, c.disorder(flow.RX), disorder{OutOfOrder: 1, Holes: 1})
	c.rx(RecordedFlow, segment{flags: ack, seq: ^uint32(0) - 4, ack: hostISN + 1, payload: text(9)})
	same(t, c.disorder(flow.RX), disorder{OutOfOrder: 2})
}

// TestMergedSegmentsInHoles: of a merged packet each segment counts for itself.
func TestMergedSegmentsInHoles(t *testing.T) {
	c := newOpenTalk(t)
	for _, n := range []int{0, 2, 5, 7} { // missing: 1, 3, 4, 6
		data(flow.RX, n)(c)
	}
	c.rxData(0, text(60), gso(10)) // 0 to 5: three of them fill holes
	same(t, c.disorder(flow.RX), disorder{Retransmitted: 3, OutOfOrder: 3, Holes: 1})
	c.rxData(50, text(45), gso(10)) // 5 to 7 are old, 6 is missing, 8 and a half are new
	same(t, c.disorder(flow.RX), disorder{Retransmitted: 5, OutOfOrder: 4})
}

func TestMergedSegmentOpensHole(t *testing.T) {
	c := newOpenTalk(t)
	c.txData(30, text(60), gso(10))
	same(t, c.disorder(flow.TX), disorder{Holes: 1})
	c.txData(0, text(30), gso(10))
	same(t, c.disorder(flow.TX), disorder{OutOfOrder: 3})
}

// TestHolesForgotten: past the bound a hole is not remembered, and what fills it counts as retransmitted.
func TestHolesForgotten(t *testing.T) {
	c := newOpenTalk(t)
	for n := range flow.HolesPerDirection + 3 {
		data(flow.RX, 2*n+1)(c)
	}
	same(t, c.disorder(flow.RX), disorder{Holes: flow.HolesPerDirection, Forgotten: 3})
	for n := range flow.HolesPerDirection + 3 {
		data(flow.RX, 2*n)(c)
	}
	same(t, c.disorder(flow.RX), disorder{OutOfOrder: flow.HolesPerDirection, Retransmitted: 3, Forgotten: 3})
}

func TestSplitWithoutRoom(t *testing.T) {
	c := newOpenTalk(t)
	data(flow.RX, 3)(c) // missing: 0, 1, 2
	for n := range flow.HolesPerDirection - 1 {
		data(flow.RX, 2*n+5)(c)
	}
	data(flow.RX, 1)(c) // leaves 0, and 2, for which there is no room
	same(t, c.disorder(flow.RX), disorder{OutOfOrder: 1, Holes: flow.HolesPerDirection, Forgotten: 1})
	data(flow.RX, 0)(c)
	data(flow.RX, 2)(c)
	same(t, c.disorder(flow.RX), disorder{OutOfOrder: 2, Retransmitted: 1, Holes: flow.HolesPerDirection - 1, Forgotten: 1})
}

// TestHolesTableFull: connections beyond the table's room forget their holes, and lose nothing else.
func TestHolesTableFull(t *testing.T) {
	c := newTalk(t, midstreamAny, func(o *Options) { o.Tables.Flows = 4096 })
	forgotten := 0
	for i := range 2048 {
		peer := &talk{c.kernel, tuple{c.tuple.local, peerNumber(i)}}
		peer.rxData(0, text(10))
		peer.rxData(20, text(10))
		forgotten += peer.disorder(flow.RX).Forgotten
	}
	counts, err := readTableCounts(c.Counts)
	must(t, err)
	holes := counts[flow.TableHoles]
	if forgotten == 0 || holes.Refused != uint64(forgotten) || holes.Inserted != uint64(2048-forgotten) {
		t.Errorf("%d forgotten, table counts %+v", forgotten, holes)
	}
}

// TestHolesGoWithTheirGeneration: a new connection on the 5-tuple starts without them, and so does the table.
func TestHolesGoWithTheirGeneration(t *testing.T) {
	c := newOpenTalk(t)
	data(flow.RX, 1)(c)
	data(flow.TX, 1)(c)
	if n := count[flow.Holes](t, c.Holes); n != 2 {
		t.Fatalf("%d entries in the table of holes, want 2", n)
	}
	c.open(70_000, 90_000)
	same(t, c.disorder(flow.RX), disorder{})
	if n := count[flow.Holes](t, c.Holes); n != 0 {
		t.Errorf("%d entries in the table of holes, want none", n)
	}
}

func TestHolesGoWithTheirFlow(t *testing.T) {
	c := newOpenTalk(t)
	data(flow.RX, 1)(c)
	same(t, c.sweepAt(2*sweepTimes.Idle).Flows, 0)
	if n := count[flow.Holes](t, c.Holes); n != 0 {
		t.Errorf("%d entries in the table of holes, want none", n)
	}
}

// TestFarHolesAreDropped: a hole further below than any window could later be taken for one above.
func TestFarHolesAreDropped(t *testing.T) {
	c := newOpenTalk(t)
	data(flow.RX, 1)(c)
	c.rx(RecordedFlow, segment{flags: ack, seq: peerISN + 1 + 1<<30, ack: hostISN + 1, payload: text(10)})
	c.rx(RecordedFlow, segment{flags: ack, seq: peerISN + 1 + 1<<31, ack: hostISN + 1, payload: text(10)})
	data(flow.RX, 0)(c)
	same(t, c.disorder(flow.RX).OutOfOrder, 0)
}

// TestHalfOpenRemembersNoHoles: before the handshake is complete there is nothing to remember them by.
func TestHalfOpenRemembersNoHoles(t *testing.T) {
	c := newTalk(t)
	c.rx(RecordedHalfOpen, segment{flags: syn, seq: peerISN})
	c.rx(RecordedHalfOpen, segment{flags: fin, seq: peerISN + 5})
	d := c.halfOpen().Dir[flow.RX]
	same(t, [2]int{int(d.Holes), int(d.HolesForgotten)}, [2]int{0, 1})
}
