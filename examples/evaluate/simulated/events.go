package simulated

import "time"

// event is something that happens; those of one time in the order in which they were added.
type event struct {
	at, order uint64
	do        func()
}

func (e *event) before(o *event) bool { return e.at < o.at || e.at == o.at && e.order < o.order }

// events are a binary heap: container/heap would allocate for each.
type events struct {
	heap  []event
	order uint64
}

func (q *events) push(at uint64, do func()) {
	q.order++
	q.heap = append(q.heap, event{at, q.order, do})
	i := len(q.heap) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if !q.heap[i].before(&q.heap[parent]) {
			break
		}
		q.heap[i], q.heap[parent] = q.heap[parent], q.heap[i]
		i = parent
	}
}

// pop returns the next event up to a time.
func (q *events) pop(until uint64) (event, bool) {
	if len(q.heap) == 0 || q.heap[0].at > until {
		return event{}, false
	}
	first, last := q.heap[0], len(q.heap)-1
	q.heap[0] = q.heap[last]
	q.heap[last] = event{}
	q.heap = q.heap[:last]
	for i := 0; ; {
		next := 2*i + 1
		if next >= last {
			break
		}
		if right := next + 1; right < last && q.heap[right].before(&q.heap[next]) {
			next = right
		}
		if !q.heap[next].before(&q.heap[i]) {
			break
		}
		q.heap[i], q.heap[next] = q.heap[next], q.heap[i]
		i = next
	}
	return first, true
}

// after has something happen a time from now.
func (w *world) after(d time.Duration, do func()) { w.push(w.now+uint64(max(d, 0)), do) }

// run lets time pass.
func (w *world) run(d time.Duration) {
	until := w.now + uint64(d)
	for {
		e, ok := w.pop(until)
		if !ok {
			break
		}
		w.now = max(w.now, e.at)
		e.do()
	}
	w.now = until
}
