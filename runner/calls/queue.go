package calls

import (
	"context"
	"sync"
	"sync/atomic"

	"fivetuple/correlator"
)

// Consumer takes records, one at a time.
type Consumer interface {
	// Take may use the record until it returns.
	Take(*correlator.CallRecord)
	// Idle is called when there is no record for now.
	Idle()
}

// Queue hands records from the request path to a consumer, in a goroutine of its own. It holds a bounded number; when it
// is full, further ones are dropped and counted (Dropped). Nothing waits for the consumer.
type Queue struct {
	records  chan correlator.CallRecord
	dropped  atomic.Uint64
	closed   atomic.Bool
	stop     chan struct{}
	stopOnce sync.Once
	done     chan struct{}
}

// NewQueue starts a queue of so many records.
func NewQueue(size int, to Consumer) *Queue {
	q := &Queue{records: make(chan correlator.CallRecord, size), stop: make(chan struct{}), done: make(chan struct{})}
	go q.run(to)
	return q
}

// Put is a correlator.Sink: it copies the record, and never waits.
func (q *Queue) Put(r *correlator.CallRecord) {
	if q.closed.Load() {
		q.dropped.Add(1)
		return
	}
	select {
	case q.records <- *r:
	default:
		q.dropped.Add(1)
	}
}

// Dropped returns how many records were lost because the queue was full, or closed.
func (q *Queue) Dropped() uint64 { return q.dropped.Load() }

// Waiting returns how many records wait.
func (q *Queue) Waiting() int { return len(q.records) }

// Close has the consumer take what waits, until the context ends. What is left then is counted as dropped, and returned.
// Nobody may put any more.
func (q *Queue) Close(ctx context.Context) (lost int) {
	q.closed.Store(true)
	q.stopOnce.Do(func() { close(q.stop) })
	select {
	case <-q.done:
	case <-ctx.Done():
	}
	for { // the consumer may still be at it: each record is taken once
		select {
		case <-q.records:
			lost++
		default:
			q.dropped.Add(uint64(lost))
			return lost
		}
	}
}

func (q *Queue) run(to Consumer) {
	defer close(q.done)
	defer to.Idle()
	var r correlator.CallRecord
	for {
		select { // no pause while there are records
		case r = <-q.records:
			to.Take(&r)
			continue
		default:
			to.Idle()
		}
		select {
		case r = <-q.records:
			to.Take(&r)
		case <-q.stop:
			for {
				select {
				case r = <-q.records:
					to.Take(&r)
				default:
					return
				}
			}
		}
	}
}

var _ correlator.Sink = (*Queue)(nil).Put
