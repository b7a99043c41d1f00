package correlator_test

import (
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"fivetuple/correlator"
	"fivetuple/correlator/flow"
)

const (
	loadRate     = 20_000 // calls a second
	loadSeconds  = 60
	loadKept     = 20_000 // keep-alive connections
	loadRequest  = 200    // bytes
	loadResponse = 1_000
)

// load is a gateway under load, on a clock of its own.
type load struct {
	table  *modelTable
	cor    *correlator.Correlator
	random *rand.Rand
	now    uint64
	kept   []correlator.Call
	single []correlator.Call // connections of one call, the oldest first; the agent removes them after ten seconds
	opened []uint64          // when
	peers  int

	calls, records int
	wrong          *correlator.CallRecord // the first record that is not as it must be
	sweeps         time.Duration
}

func newLoad(tb testing.TB) *load {
	tb.Helper()
	l := &load{table: newModelTable(), random: rand.New(rand.NewPCG(1, 2)), now: uint64(time.Hour)} //nolint:gosec // repeatable
	o := testOptions()
	o.Connections = 1 << 17 // so that none is forgotten between two calls, which would make the second one `shared`
	cor, err := correlator.New(l.table, o, l.take, nil)
	if err != nil {
		tb.Fatal(err)
	}
	l.cor = cor
	for range loadKept {
		l.kept = append(l.kept, l.open())
	}
	return l
}

func (l *load) take(r *correlator.CallRecord) {
	l.records++
	s := &r.Split
	whole := r.Match == correlator.MatchExchange && !r.Cut && r.Request.Payload == loadRequest && r.Response.Payload == loadResponse &&
		s.Network+s.Arriving+s.Waiting+s.Serving+s.Leaving == s.Total && s.Total > 0
	if !whole && l.wrong == nil {
		wrong := *r
		l.wrong = &wrong
	}
}

func (l *load) open() (call correlator.Call) {
	l.peers++
	call.Peer, call.Gateway = modelTuple(l.peers)
	call.Connection, call.RequestLength = uint64(l.peers), loadRequest
	m := newModel(modelISN)
	m.record.Conn.ID = l.now + uint64(l.peers)
	l.table.models[call.Key()] = m
	return call
}

// play makes a call of a connection, whose response is there before the next one.
func (l *load) play(call *correlator.Call) *model {
	m := l.table.models[call.Key()]
	m.now = max(m.now, l.now)
	m.rx(loadRequest)
	call.Requests++
	l.cor.Match(m.now, *call)
	m.tx(loadResponse)
	l.calls++
	return m
}

// second plays one second in steps of a millisecond, with a sweep at its end.
func (l *load) second() {
	for range 1000 {
		l.now += uint64(time.Millisecond)
		for range loadRate / 1000 {
			if l.random.IntN(5) > 0 {
				l.play(&l.kept[l.random.IntN(len(l.kept))])
				continue
			}
			call := l.open()
			if m := l.play(&call); l.random.IntN(2) == 0 {
				m.record.Conn.State = flow.StateClosed
			}
			l.single, l.opened = append(l.single, call), append(l.opened, l.now)
		}
	}
	l.sweep()
}

func (l *load) sweep() {
	begin := time.Now()
	l.cor.Sweep(l.now)
	l.sweeps += time.Since(begin)
	gone := 0
	for gone < len(l.single) && l.now-l.opened[gone] > uint64(10*time.Second) {
		delete(l.table.models, l.single[gone].Key())
		gone++
	}
	l.single, l.opened = l.single[gone:], l.opened[gone:]
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestLoad plays 20,000 calls a second for a minute: each has one record, whole, and the memory at the end is that
// of half the time.
func TestLoad(t *testing.T) {
	l := newLoad(t)
	var early uint64
	for second := range loadSeconds {
		l.second()
		if second == loadSeconds/2 { // as many connections are remembered as there is room for
			early = heap()
		}
	}
	late := heap()
	for range 20 { // silence
		l.now += uint64(time.Second)
		l.cor.Sweep(l.now)
	}
	if l.records != l.calls || l.calls != loadRate*loadSeconds {
		t.Errorf("%d calls have %d records", l.calls, l.records)
	}
	if l.wrong != nil {
		t.Errorf("a record is %+v", *l.wrong)
	}
	if late > early+early/4 {
		t.Errorf("%d bytes after %d seconds, %d after half of them", late, loadSeconds, early)
	}
	t.Logf("%d calls, %d records; heap %d MB, then %d MB; sweeps took %v a call",
		l.calls, l.records, early>>20, late>>20, l.sweeps/time.Duration(l.calls))
}

// BenchmarkSweep reports what a call costs in sweeps (sweep-ns/call), with the look-ups in a table of the test's.
func BenchmarkSweep(b *testing.B) {
	l := newLoad(b)
	for b.Loop() {
		l.second()
	}
	b.ReportMetric(float64(l.sweeps.Nanoseconds())/float64(l.calls), "sweep-ns/call")
}
