package store

import (
	"container/list"
	"context"
	"sync"
	"time"
)

// maxQueueBytes is the most that waiting writes take, beside their number's bound.
const maxQueueBytes = 32 << 20

// queue holds the writes that wait, in the order of their arrival, also while they are being sent: only what has arrived is taken
// out. When it is full, by number or by bytes, the oldest goes. A later SET or HSET of the same takes the older one's place.
type queue struct {
	mu    sync.Mutex
	most  int
	bytes int
	told  [2]int64  // number and bytes, as the meter knows them
	order list.List // of *write, the oldest first
	named map[name]*list.Element
	later deferral
	meter *Meter
	wake  chan struct{} // one place: there is something new
}

func newQueue(most int, m *Meter) *queue {
	return &queue{most: most, named: map[name]*list.Element{}, meter: m, wake: make(chan struct{}, 1)}
}

// put takes a write.
func (q *queue) put(w *write) {
	q.mu.Lock()
	defer q.mu.Unlock()
	defer q.gauge()
	if e := q.named[w.name]; e != nil {
		q.replace(e.Value.(*write), w)
	} else {
		e := q.order.PushBack(w)
		q.bytes += w.bytes()
		if w.replaceable() {
			q.named[w.name] = e
		}
	}
	for q.order.Len() > q.most || q.bytes > maxQueueBytes {
		q.remove(q.order.Front())
		q.meter.dropped.Add(1)
	}
	signal(q.wake)
}

func (q *queue) replace(old, w *write) {
	q.bytes += w.bytes() - old.bytes()
	old.value, old.until = w.value, w.until
	old.version++
	q.meter.replaced.Add(1)
}

func (q *queue) remove(e *list.Element) {
	q.later.forget(e)
	w := q.order.Remove(e).(*write)
	w.gone = true
	q.bytes -= w.bytes()
	if w.replaceable() {
		delete(q.named, w.name)
	}
}

// gauge tells the meter how much waits; there are several queues.
func (q *queue) gauge() {
	now := [2]int64{int64(q.order.Len()), int64(q.bytes)}
	q.meter.waiting.Add(now[0] - q.told[0])
	q.meter.waitingBytes.Add(now[1] - q.told[1])
	q.told = now
}

const (
	// maxBatch and maxBatchBytes are the most that is sent at once.
	maxBatch      = 256
	maxBatchBytes = 1 << 20
)

// sending is a write as it was when it was taken to be sent.
type sending struct {
	of *list.Element
	write
}

// take returns the oldest writes that may be sent now, and leaves them where they are; what has lived out goes. If there are none, it
// says how long to wait for one: 0 for nothing there.
func (q *queue) take(now time.Time) (batch []sending, wait time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	defer q.gauge()
	size := 0
	for e := q.later.first(&q.order, now); e != nil && len(batch) < maxBatch && size < maxBatchBytes; {
		w, next := e.Value.(*write), e.Next()
		if now.Before(w.until) {
			batch = append(batch, sending{e, *w})
			size += w.bytes()
		} else {
			q.remove(e)
			q.meter.expired.Add(1)
		}
		e = next
	}
	return batch, q.later.wait(now)
}

// idle waits for something to send: new, or, unless wait is 0, for so long.
func (q *queue) idle(ctx context.Context, wait time.Duration) {
	var due <-chan time.Time
	if wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		due = t.C
	}
	select {
	case <-ctx.Done():
	case <-q.wake:
	case <-due:
	}
}

// signal puts a token into a channel with one place.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
