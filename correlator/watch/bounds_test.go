package watch_test

import (
	"runtime"
	"syscall"
	"testing"
	"time"

	"fivetuple/correlator/flow"
	"fivetuple/correlator/watch"
)

// crowded are tables with as many flows, handshakes and sources as wanted, all of them lively.
type crowded struct {
	world
	record flow.Record
	conn   flow.Conn
	source flow.Source
	n      [3]int // flows, half-open, sources
	peers  int    // addresses that the flows are of
	cursor [3]int
	copies [512]flow.Record
}

func newCrowded(flows, half, sources, peers int) *crowded {
	c := &crowded{n: [3]int{flows, half, sources}, peers: peers}
	c.now = uint64(1000 * time.Second)
	rx := &c.record.Conn.Dir[flow.RX]
	rx.Known, rx.FirstLen = flow.KnownOpener, 16
	copy(rx.FirstPayload[:], request)
	c.record.Conn.State = flow.StateOpen
	c.conn.Dir[flow.RX].Known = flow.KnownOpener
	return c
}

// next returns the numbers of the next slice of a table.
func (c *crowded) next(table, limit int) (from, to int, done bool) {
	from = c.cursor[table]
	to = min(from+limit, c.n[table])
	if c.cursor[table] = to; to == c.n[table] {
		c.cursor[table] = 0
		return from, to, true
	}
	return from, to, false
}

func (c *crowded) Flows(limit int, take func(flow.Key, *flow.Record)) (bool, error) {
	from, to, done := c.next(0, limit)
	for i := from; i < to; i++ {
		r := &c.copies[i%len(c.copies)]
		*r = c.record // as large a copy as the kernel's
		r.Conn.ID, r.Conn.Tag, r.Conn.Last = uint64(i+1)*1000, uint32(i), c.now
		r.Exchange, r.Answered = uint32(c.now/uint64(time.Second)), uint8(i&1)
		take(flow.Key{Remote: address(i % c.peers), RemotePort: uint16(i), LocalPort: 443}, r)
	}
	return done, nil
}

func (c *crowded) HalfOpen(limit int, take func(flow.Key, *flow.Conn)) (bool, error) {
	from, to, done := c.next(1, limit)
	h := new(flow.Conn)
	for i := from; i < to; i++ {
		*h = c.conn
		h.SYN, h.SYNACK = c.now-uint64(i)*uint64(time.Millisecond), c.now
		take(flow.Key{Remote: address(i), LocalPort: uint16(i % 8)}, h)
	}
	return done, nil
}

func (c *crowded) Sources(limit int, take func([16]byte, *flow.Source)) (bool, error) {
	from, to, done := c.next(2, limit)
	s := new(flow.Source)
	for i := from; i < to; i++ {
		*s = c.source
		s.First, s.Last, s.SYNs, s.Handshakes = c.now, c.now, uint32(c.now/uint64(time.Second)), 1
		s.Ports[0] = 1
		take(address(i), s)
	}
	return done, nil
}

func heapInUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestMemory is bounded, however many addresses there are.
func TestMemory(t *testing.T) {
	const most = 48 << 20
	tables := newCrowded(1_000_000, 1_000_000, 1_000_000, 1_000_000)
	before := heapInUse()
	w, err := watch.New(options)
	if err != nil {
		t.Fatal(err)
	}
	var r watch.Report
	for range 35 {
		tables.now += uint64(time.Second)
		if r, err = w.Tick(tables.now, tables); err != nil {
			t.Fatal(err)
		}
	}
	used := heapInUse() - before
	runtime.KeepAlive(w)
	t.Logf("%.1f MiB for %d windows, %d made room", float64(used)/(1<<20), r.Watched, r.Crowded)
	if used > most {
		t.Errorf("%d bytes, want at most %d", used, most)
	}
	if r.Watched > 1<<16 || r.Crowded == 0 {
		t.Errorf("%d windows, %d made room", r.Watched, r.Crowded)
	}
}

// processorTime is what the process has used: on a busy machine that is less than what has passed.
func processorTime(tb testing.TB) time.Duration {
	tb.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkTick reports how much of a core a tick a second costs.
func BenchmarkTick(b *testing.B) {
	for _, c := range []struct {
		name                 string
		flows, half, sources int
		peers                int
	}{
		{"10k flows of 5k addresses", 10_000, 1000, 5000, 5000},
		{"100k flows of 16k addresses", 100_000, 16_384, 16_384, 16_384},
		{"100k flows of 100k addresses", 100_000, 16_384, 16_384, 100_000},
	} {
		b.Run(c.name, func(b *testing.B) {
			tables := newCrowded(c.flows, c.half, c.sources, c.peers)
			w, err := watch.New(options)
			if err != nil {
				b.Fatal(err)
			}
			for range 5 {
				tables.now += uint64(time.Second)
				_, _ = w.Tick(tables.now, tables)
			}
			before := processorTime(b)
			for b.Loop() {
				tables.now += uint64(time.Second)
				if _, err := w.Tick(tables.now, tables); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(100*(processorTime(b)-before).Seconds()/float64(b.N), "%core")
		})
	}
}
