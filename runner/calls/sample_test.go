package calls

import (
	"encoding/binary"
	"math"
	"net/netip"
	"testing"

	"fivetuple/correlator"
)

// connections returns the first calls of n connections.
func connections(n int) []correlator.CallRecord {
	all := make([]correlator.CallRecord, n)
	for i := range all {
		r := unmatched()
		var ip [4]byte
		binary.BigEndian.PutUint32(ip[:], 0x0a000000+uint32(i/1000))
		r.Peer = netip.AddrPortFrom(netip.AddrFrom4(ip), uint16(40000+i%1000))
		r.Gateway = netip.MustParseAddrPort("10.9.9.9:9080")
		r.Connection = uint64(i)
		all[i] = r
	}
	return all
}

// TestSamplePicksItsShare within five standard deviations of it.
func TestSamplePicksItsShare(t *testing.T) {
	all := connections(20000)
	for _, share := range []float64{0, 0.001, 0.1, 0.5, 0.9, 1} {
		picked := 0
		for i := range all {
			if newSampler(share).picks(&all[i]) {
				picked++
			}
		}
		mean := share * float64(len(all))
		if far := math.Abs(float64(picked) - mean); far > 5*math.Sqrt(mean*(1-share)) {
			t.Errorf("share %v: %d of %d", share, picked, len(all))
		}
	}
}

// TestSampleHoldsConnectionsTogether: whatever differs between the calls of a connection has no say.
func TestSampleHoldsConnectionsTogether(t *testing.T) {
	s := newSampler(0.5)
	for _, first := range connections(1000) {
		later := full()
		later.Peer, later.Gateway, later.Connection = first.Peer, first.Gateway, first.Connection
		if s.picks(&first) != s.picks(&later) {
			t.Fatalf("two calls of the connection %v are told apart", first.Peer)
		}
	}
}

// TestSampleIsTheSameInEveryProcess: a larger share has all that a smaller one has, and a runner that takes over picks alike.
func TestSampleIsTheSameInEveryProcess(t *testing.T) {
	r := full()
	if newSampler(0.5852).picks(&r) || !newSampler(0.5853).picks(&r) {
		t.Error("the connection is not in the sample from the share on from which on it was")
	}
}

func TestLogCountsWhatIsNotSampled(t *testing.T) {
	o := options(t)
	o.Sample = 0.25
	l := open(t, o)
	all := connections(400)
	for i := range all {
		l.Put(&all[i])
	}
	finish(t, l)
	if c := l.Counts(); c.Written+c.NotSampled != 400 || c.Written == 0 || c.NotSampled < c.Written || c.Failed+c.Dropped != 0 {
		t.Errorf("%+v", c)
	}
}
