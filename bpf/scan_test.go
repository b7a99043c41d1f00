package bpf

import (
	"testing"

	"golang.org/x/sys/unix"

	"fivetuple/correlator/flow"
)

// fill begins records of numbered peers.
func (c *talk) fill(n int) {
	c.t.Helper()
	for i := range n {
		must(c.t, c.run(flow.RX, tuple{c.tuple.local, peerNumber(i)}.tcp(flow.RX, request)))
	}
}

// TestScan reads every entry once a turn, slice by slice, and then begins anew.
func TestScan(t *testing.T) {
	const flows = 10_000
	c := newTalk(t, midstreamAny, func(o *Options) { o.Tables.Flows, o.Tables.Sources = flows, 2*flows })
	c.fill(flows)
	s := newScanner(c.tables)
	for turn := range 2 {
		seen := make(map[flow.Key]int)
		slices := 1
		for done := false; !done; slices++ {
			var err error
			done, err = s.Flows(scanBatch, func(k flow.Key, r *flow.Record) {
				seen[k]++
				if r.Conn.Dir[flow.RX].Packets != 1 {
					t.Errorf("record of %v: %+v", k, r.Conn)
				}
			})
			must(t, err)
		}
		if len(seen) != flows || slices < flows/scanBatch {
			t.Errorf("turn %d: %d of %d records, in %d slices", turn, len(seen), flows, slices)
		}
		for k, n := range seen {
			if n != 1 {
				t.Errorf("turn %d: %v was read %d times", turn, k, n)
			}
		}
	}
	sources := 0
	for done := false; !done; {
		var err error
		done, err = s.Sources(scanBatch, func(_ [16]byte, source *flow.Source) { sources += int(source.Flows) })
		must(t, err)
	}
	same(t, sources, flows)
}

// TestScanLeavesOutTornEntries: an entry that says that it is being written is counted.
func TestScanLeavesOutTornEntries(t *testing.T) {
	c := newTalk(t, midstreamAny)
	c.fill(3)
	key := tuple{c.tuple.local, peerNumber(1)}.key(flow.TCP)
	var r flow.Record
	must(t, c.Flows.Lookup(&key, &r))
	r.Conn.Lock |= 1
	must(t, c.Flows.Put(&key, &r))
	s := newScanner(c.tables)
	read := 0
	done, err := s.Flows(100, func(k flow.Key, _ *flow.Record) {
		read++
		if k == key {
			t.Error("the torn entry was shown")
		}
	})
	must(t, err)
	if !done || read != 2 || s.Torn() != 1 {
		t.Errorf("done %v, read %d, torn %d", done, read, s.Torn())
	}
}

// TestScanOfAnAgent: handshakes that are under way, and what was counted, as the tables' owner reads it.
func TestScanOfAnAgent(t *testing.T) {
	c := newTalk(t)
	const handshakes = 300
	for i := range handshakes {
		must(t, c.run(flow.RX, tuple{c.tuple.local, peerNumber(i)}.tcp(flow.RX, segment{flags: syn, seq: peerISN})))
	}
	a := &Agent{tables: c.tables}
	s := a.Scanner()
	seen := make(map[flow.Key]bool)
	done, err := s.HalfOpen(2*handshakes, func(k flow.Key, entry *flow.Conn) {
		seen[k] = entry.Dir[flow.RX].ISN == peerISN && entry.State == flow.StateHalfOpen
	})
	must(t, err)
	same(t, done, true)
	for i := range handshakes {
		if k := (tuple{c.tuple.local, peerNumber(i)}).key(flow.TCP); !seen[k] {
			t.Errorf("%v: its handshake was not shown", k)
		}
	}
	reasons, err := s.Reasons()
	must(t, err)
	same(t, reasons[flow.RX][RecordedHalfOpen], uint64(handshakes))
	counts, err := s.TableCounts()
	must(t, err)
	same(t, counts[flow.TableHalfOpen].Inserted, uint64(handshakes))
}

// BenchmarkScan prints what an entry of a large flow table costs.
func BenchmarkScan(b *testing.B) {
	const flows = 100_000
	c := newTalk(b, midstreamAny, func(o *Options) { o.Tables.Flows = flows })
	c.fill(flows)
	s := newScanner(c.tables)
	b.ReportAllocs()
	var payload uint64
	began := cpuTime(b)
	for b.Loop() {
		for done := false; !done; {
			var err error
			done, err = s.Flows(flows, func(_ flow.Key, r *flow.Record) { payload += r.Conn.Dir[flow.RX].Payload })
			must(b, err)
		}
	}
	b.ReportMetric(float64(cpuTime(b)-began)/float64(b.N*flows), "cpu-ns/entry")
}

// cpuTime is what the process has used of processors, in nanoseconds: the machine may be busy with others.
func cpuTime(tb testing.TB) int64 {
	tb.Helper()
	var u unix.Rusage
	must(tb, unix.Getrusage(unix.RUSAGE_SELF, &u))
	return unix.TimevalToNsec(u.Utime) + unix.TimevalToNsec(u.Stime)
}
