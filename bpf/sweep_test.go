package bpf

import (
	"net/netip"
	"testing"
	"time"

	"fivetuple/correlator/flow"
)

var sweepTimes = SweepOptions{Closed: 5 * time.Second, Idle: time.Hour}

// sweepAt sweeps as if the given time had gone by since the last packet.
func (c *talk) sweepAt(after time.Duration) left {
	c.t.Helper()
	s, err := c.sweep(sweepTimes, c.now+uint64(after))
	must(c.t, err)
	return newLeft(s)
}

// left is what a sweep left, and how many entries it removed.
type left struct{ Flows, HalfOpen, UDP, Removed int }

func newLeft(s Swept) left {
	return left{int(s.Entries[flow.TableFlows]), int(s.Entries[flow.TableHalfOpen]), int(s.Entries[flow.TableUDP]), s.Removed}
}

func TestSweepClosed(t *testing.T) {
	c := newOpenTalk(t)
	c.rx(RecordedFlow, segment{flags: rst, seq: peerISN + 1})
	same(t, c.sweepAt(promotedLife+1), left{Flows: 1, Removed: 1}) // the half-open entry
	same(t, c.sweepAt(5*time.Second), left{Flows: 1})
	same(t, c.sweepAt(5*time.Second+1), left{Removed: 1})
	if c.hasFlow() {
		t.Error("the record is still there")
	}
}

func TestSweepOpen(t *testing.T) {
	c := newOpenTalk(t)
	same(t, c.sweepAt(time.Hour), left{Flows: 1, Removed: 1})
	same(t, c.sweepAt(time.Hour+1), left{Removed: 1})
}

func TestSweepHalfOpen(t *testing.T) {
	c := newTalk(t)
	c.rx(RecordedHalfOpen, segment{flags: syn, seq: peerISN})
	same(t, c.sweepAt(halfOpenLife), left{HalfOpen: 1})
	same(t, c.sweepAt(halfOpenLife+1), left{Removed: 1})
}

func TestSweepPromoted(t *testing.T) {
	c := newTalk(t)
	c.at(0).rx(RecordedHalfOpen, segment{flags: syn, seq: peerISN})
	c.tx(RecordedHalfOpen, segment{flags: syn | ack, seq: hostISN, ack: peerISN + 1})
	c.rx(RecordedFlow, segment{flags: ack, seq: peerISN + 1, ack: hostISN + 1})
	same(t, c.sweepAt(promotedLife), left{Flows: 1, HalfOpen: 1})
	same(t, c.sweepAt(promotedLife+1), left{Flows: 1, Removed: 1})
}

func TestSweepUDP(t *testing.T) {
	c := newTalk(t)
	c.want(RecordedUDP, flow.RX, c.tuple.udp(flow.RX, "?"))
	same(t, c.sweepAt(time.Hour), left{UDP: 1})
	same(t, c.sweepAt(time.Hour+1), left{Removed: 1})
}

func TestSweepBeforeLastPacket(t *testing.T) {
	c := newOpenTalk(t)
	s, err := c.sweep(sweepTimes, 0) // a packet may come between the reading of the clock and the look
	must(t, err)
	same(t, newLeft(s), left{Flows: 1, HalfOpen: 1})
}

func TestSweepLeavesWhatIsWritten(t *testing.T) {
	c := newOpenTalk(t)
	release := c.hold()
	same(t, c.sweepAt(2*time.Hour), left{Flows: 1, Removed: 1}) // the half-open entry
	release()
}

// TestSweepMany has more entries than a batch, some of which go.
func TestSweepMany(t *testing.T) {
	c := newTalk(t, midstreamAny, func(o *Options) { o.Tables.Flows = 4096 })
	const n = 3 * sweepBatch
	for i := range n {
		if i == n/3 {
			c.at(uint64(2 * time.Hour / time.Microsecond))
		}
		peer := netip.AddrPortFrom(c.tuple.remote.Addr(), uint16(1+i))
		c.want(RecordedFlow, flow.RX, tuple{c.tuple.local, peer}.tcp(flow.RX, request))
	}
	same(t, c.sweepAt(time.Minute), left{Flows: n - n/3, Removed: n / 3})
	same(t, c.sweepAt(time.Minute), left{Flows: n - n/3})
	if got := count[flow.Record](t, c.Flows); got != n-n/3 {
		t.Errorf("%d records left", got)
	}
}

func TestSweepEmpty(t *testing.T) {
	same(t, newTalk(t).sweepAt(time.Hour), left{})
}
