package watch_test

import (
	"container/heap"
	"encoding/binary"
	"time"

	"fivetuple/correlator/flow"
	"fivetuple/correlator/watch"
)

// world is a gateway's tables in simulated time: what the kernel program would keep of scripted connections.
type world struct {
	now      uint64
	start    uint64
	events   queue
	order    uint64
	port     uint32
	flows    table[flow.Key, flow.Record]
	half     table[flow.Key, flow.Conn]
	sources  table[[16]byte, flow.Source]
	verdicts map[flow.VerdictKey]flow.Verdict
	counts   [flow.Tables]flow.TableCounts
	strays   flow.Strays
	calls    int
}

func newWorld() *world {
	start := uint64(1000 * time.Second)
	return &world{now: start, start: start, verdicts: map[flow.VerdictKey]flow.Verdict{}}
}

// table is one that is read in slices.
type table[K comparable, V any] struct {
	at     map[K]int
	keys   []K
	values []*V
	cursor int
}

func (t *table[K, V]) get(k K) *V {
	if i, ok := t.at[k]; ok {
		return t.values[i]
	}
	return nil
}

// put adds an entry, or sets the one that is there to nothing.
func (t *table[K, V]) put(k K) *V {
	if t.at == nil {
		t.at = map[K]int{}
	}
	v := new(V)
	if i, ok := t.at[k]; ok {
		t.values[i] = v
		return v
	}
	t.at[k] = len(t.keys)
	t.keys, t.values = append(t.keys, k), append(t.values, v)
	return v
}

// sweep removes entries.
func (t *table[K, V]) sweep(goes func(*V) bool) (removed uint64) {
	for i := len(t.keys) - 1; i >= 0; i-- {
		if !goes(t.values[i]) {
			continue
		}
		last := len(t.keys) - 1
		delete(t.at, t.keys[i])
		if i != last {
			t.keys[i], t.values[i] = t.keys[last], t.values[last]
			t.at[t.keys[i]] = i
		}
		t.keys, t.values = t.keys[:last], t.values[:last]
		removed++
	}
	return removed
}

func (t *table[K, V]) read(limit int, take func(K, *V)) bool {
	for ; limit > 0 && t.cursor < len(t.keys); limit-- {
		v := *t.values[t.cursor]
		take(t.keys[t.cursor], &v)
		t.cursor++
	}
	if t.cursor < len(t.keys) {
		return false
	}
	t.cursor = 0
	return true
}

func (w *world) Flows(limit int, take func(flow.Key, *flow.Record)) (bool, error) {
	return w.flows.read(limit, take), nil
}

func (w *world) HalfOpen(limit int, take func(flow.Key, *flow.Conn)) (bool, error) {
	return w.half.read(limit, take), nil
}

func (w *world) Sources(limit int, take func([16]byte, *flow.Source)) (bool, error) {
	return w.sources.read(limit, take), nil
}

func (w *world) TableCounts() ([flow.Tables]flow.TableCounts, error) { return w.counts, nil }
func (w *world) Strays() (flow.Strays, error)                        { return w.strays, nil }

func (w *world) Verdicts(take func(flow.VerdictKey, *flow.Verdict)) error {
	for k, v := range w.verdicts {
		take(k, &v)
	}
	return nil
}

// apply does what the agent does with a report.
func (w *world) apply(r watch.Report) {
	for _, c := range r.Changes {
		if c.Delete {
			delete(w.verdicts, c.Key)
		} else {
			w.verdicts[c.Key] = c.Verdict
		}
	}
}

// event is something that happens at a time; those of one time in the order in which they were added.
type event struct {
	at, order uint64
	do        func()
}

type queue []event

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].order < q[j].order
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(event)) }
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

// after has something happen a time from now.
func (w *world) after(d time.Duration, do func()) {
	w.order++
	heap.Push(&w.events, event{w.now + uint64(max(d, 0)), w.order, do})
}

// every has something happen again and again, n times.
func (w *world) every(d time.Duration, n int, do func(i int)) {
	var again func(i int)
	again = func(i int) {
		if i < n {
			do(i)
			w.after(d, func() { again(i + 1) })
		}
	}
	again(0)
}

// run lets time pass.
func (w *world) run(until uint64) {
	for len(w.events) > 0 && w.events[0].at <= until {
		e := heap.Pop(&w.events).(event)
		w.now = max(w.now, e.at)
		e.do()
	}
	w.now = until
}

// sweepOld does what the agent's sweep does.
func (w *world) sweepOld() {
	old := func(c *flow.Conn, ended bool, silent, closed time.Duration) bool {
		return c.Last+uint64(silent) < w.now || ended && c.Last+uint64(closed) < w.now
	}
	w.counts[flow.TableFlows].Removed += w.flows.sweep(func(r *flow.Record) bool {
		return old(&r.Conn, r.Conn.State == flow.StateClosed, 30*time.Minute, 10*time.Second)
	})
	w.counts[flow.TableHalfOpen].Removed += w.half.sweep(func(c *flow.Conn) bool {
		return old(c, c.State == flow.StatePromoted, 3*time.Minute, time.Second)
	})
}

// address returns the n-th address of clients.
func address(n int) (a [16]byte) {
	a[10], a[11], a[12] = 0xff, 0xff, 10
	binary.BigEndian.PutUint32(a[12:], 10<<24|uint32(n))
	return a
}

var gateway = address(1 << 20)

func (w *world) source(of [16]byte) *flow.Source {
	s := w.sources.get(of)
	if s == nil {
		s = w.sources.put(of)
		s.First = w.now
	}
	s.Last = w.now
	return s
}
