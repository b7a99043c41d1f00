package bpf

import (
	"net/netip"
	"slices"
	"testing"

	"fivetuple/correlator/flow"
)

// peerNumber is an endpoint of its own for each number up to 2^24.
func peerNumber(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 4000)
}

func (c *talk) source() flow.Source {
	c.t.Helper()
	var s flow.Source
	must(c.t, c.Sources.Lookup(c.tuple.remote.Addr().As16(), &s))
	return s
}

func TestSourceOfHandshake(t *testing.T) {
	for _, tu := range []tuple{tuple4, tuple6} {
		c := &talk{newKernel(t), tu}
		c.open(peerISN, hostISN)
		c.at(5000).rx(RecordedFlow, segment{flags: rst, seq: peerISN + 1})
		s := c.source()
		same(t, [4]uint32{s.SYNs, s.Handshakes, s.RSTs, s.Flows}, [4]uint32{1, 1, 1, 1})
		same(t, [3]uint64{s.First, s.Last, uint64(s.DistinctPorts())}, [3]uint64{clockAt(0), clockAt(5000), 1})
	}
}

// TestSourceOfOwnConnection: a connection that this host opened is no handshake of the peer's.
func TestSourceOfOwnConnection(t *testing.T) {
	c := newTalk(t)
	c.tx(RecordedHalfOpen, segment{flags: syn, seq: hostISN})
	c.rx(RecordedFlow, segment{flags: syn | ack, seq: peerISN, ack: hostISN + 1})
	s := c.source()
	same(t, [4]uint32{s.SYNs, s.Handshakes, s.RSTs, s.Flows}, [4]uint32{0, 0, 0, 1})
}

func TestSourceOfMidstream(t *testing.T) {
	c := newTalk(t, midstreamAny)
	c.rx(RecordedFlow, request)
	c.rx(RecordedFlow, request)
	s := c.source()
	same(t, [4]uint32{s.SYNs, s.Handshakes, s.RSTs, s.Flows}, [4]uint32{0, 0, 0, 1})
}

// TestSourceSegmentsAreNotCounted: an open connection's segments cost the table nothing.
func TestSourceSegmentsAreNotCounted(t *testing.T) {
	c := newOpenTalk(t)
	before := c.source()
	c.at(9000).rxData(0, "GET")
	same(t, c.source(), before)
}

func TestSourceScansPorts(t *testing.T) {
	for _, n := range []int{1, 10, 100, 1000, 3000} {
		c := newTalk(t)
		for port := range n {
			local := netip.AddrPortFrom(c.tuple.local.Addr(), uint16(1+port))
			c.want(RecordedHalfOpen, flow.RX, tuple{local, c.tuple.remote}.tcp(flow.RX, segment{flags: syn, seq: 1}))
		}
		s := c.source()
		if got := s.DistinctPorts(); got < n-n/10-1 || got > n+n/10+1 || s.SYNs != uint32(n) {
			t.Errorf("%d ports: %d are told, of %d SYNs", n, got, s.SYNs)
		}
	}
}

// TestTableCounts: what came, what was refused, what went; the rest was evicted.
func TestTableCounts(t *testing.T) {
	c := newTalk(t, midstreamAny)
	const n = 4096
	for i := range n {
		peer := &talk{c.kernel, tuple{c.tuple.local, peerNumber(i)}}
		_ = peer.feed(flow.RX, peer.tuple.tcp(flow.RX, segment{flags: syn, seq: 1}))
		_ = peer.feed(flow.RX, peer.tuple.udp(flow.RX, "?"))
		_ = peer.feed(flow.RX, tuple{c.tuple.local, peerNumber(n + i)}.tcp(flow.RX, request))
	}
	counts, err := readTableCounts(c.Counts)
	must(t, err)
	for table, left := range map[int]int{
		flow.TableHalfOpen: count[flow.Handshake](t, c.HalfOpen), flow.TableUDP: count[flow.Conn](t, c.UDP),
	} {
		got := counts[table]
		if got.Inserted != n || got.Removed != 0 || got.Evicted(uint64(left)) != uint64(n-left) || left > 1024 {
			t.Errorf("table %s: %+v, %d left", flow.TableName(table), got, left)
		}
	}
	flows := counts[flow.TableFlows]
	if left := count[flow.Record](t, c.Flows); flows.Inserted != uint64(left) || flows.Inserted+flows.Refused != n {
		t.Errorf("flows: %+v, %d left", flows, left)
	}
	if got := c.reasons()[flow.RX][TableFull]; got != flows.Refused {
		t.Errorf("%d packets left as table-full, %d insertions were refused", got, flows.Refused)
	}
	swept, err := c.sweep(sweepTimes, c.now)
	must(t, err)
	if got := swept.Evicted[flow.TableHalfOpen]; got != counts[flow.TableHalfOpen].Inserted-uint64(swept.Entries[flow.TableHalfOpen]) {
		t.Errorf("the sweep found %d half-open entries evicted", got)
	}
}

// TestSourceMalformed: what is the sender's fault counts on its address, and begins no flow. What is only none of ours does
// not, nor does what this host sent.
func TestSourceMalformed(t *testing.T) {
	faults := []Reason{IPTruncated, IPBadHeaderLength, IPBadLength, IPv6ExtensionDepth, L4Truncated, L4BadLength}
	for _, p := range slices.Concat(refusedIPv4(), refusedIPv6(), refusedTCP()) {
		t.Run(p.name, func(t *testing.T) {
			c := newTalk(t)
			if u16(p.frame[12:]) == etherIPv6 {
				c.tuple = tuple6
			}
			c.at(3000).want(p.want, flow.TX, p.frame)
			c.want(p.want, flow.RX, p.frame)
			c.at(4000).want(p.want, flow.RX, p.frame)
			if n := sourceCount(t, c); !slices.Contains(faults, p.want) {
				same(t, n, 0)
				return
			}
			same(t, c.source(), flow.Source{First: clockAt(3000), Last: clockAt(4000), Malformed: 2})
			same(t, sourceCount(t, c), 1)
		})
	}
}

// TestSourceMalformedIsUnknown: no address was read, or none that is one.
func TestSourceMalformedIsUnknown(t *testing.T) {
	c := newTalk(t)
	c.want(IPTruncated, flow.RX, ethernet([]int{tag8021Q}, etherIPv6, make([]byte, 39)))
	nobody := rx6
	nobody.src, nobody.length = netip.IPv6Unspecified(), -1
	c.want(IPBadLength, flow.RX, frame6(nobody, body))
	same(t, sourceCount(t, c), 0)
}

func sourceCount(t *testing.T, c *talk) int {
	t.Helper()
	addresses, err := keysOf[[16]byte, flow.Source](c.Sources)
	must(t, err)
	return len(addresses)
}
