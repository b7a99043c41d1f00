package calls

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"fivetuple/correlator"
)

// slow is a consumer that waits with each record.
type slow struct {
	go1   chan struct{}
	taken []uint64
	idle  int
}

func (s *slow) Take(r *correlator.CallRecord) {
	<-s.go1
	s.taken = append(s.taken, r.Requests)
}
func (s *slow) Idle() { s.idle++ }

// TestFullQueueDropsAndNeverWaits: in the bubble, a Put that waited would be a deadlock.
func TestFullQueueDropsAndNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slow{go1: make(chan struct{})}
		q := NewQueue(4, s)
		synctest.Wait()
		var r correlator.CallRecord
		for r.Requests = 1; r.Requests <= 10; r.Requests++ {
			q.Put(&r)
			synctest.Wait()
		}
		// One is being taken, four wait.
		if q.Dropped() != 5 || q.Waiting() != 4 {
			t.Errorf("%d dropped, %d wait", q.Dropped(), q.Waiting())
		}
		close(s.go1)
		if lost := q.Close(context.Background()); lost != 0 || len(s.taken) != 5 || s.taken[0] != 1 || s.taken[4] != 5 {
			t.Errorf("%d lost, taken %v", lost, s.taken)
		}
		q.Put(&r)
		if q.Dropped() != 6 || q.Waiting() != 0 || s.idle < 2 {
			t.Errorf("%d dropped after the end, %d wait, idle %d times", q.Dropped(), q.Waiting(), s.idle)
		}
	})
}

// TestCloseIsBounded: a consumer that hangs holds nobody up, and what it leaves is counted.
func TestCloseIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slow{go1: make(chan struct{})}
		q := NewQueue(4, s)
		var r correlator.CallRecord
		for range 3 {
			q.Put(&r)
			synctest.Wait()
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		begin := time.Now()
		if lost := q.Close(ctx); lost != 2 || q.Dropped() != 2 || time.Since(begin) != time.Second {
			t.Errorf("%d lost, %d dropped, after %v", lost, q.Dropped(), time.Since(begin))
		}
		close(s.go1)
		synctest.Wait()
		if len(s.taken) != 1 {
			t.Errorf("taken %v", s.taken)
		}
	})
}

// TestPutAllocatesNothing: it is on the request path.
func TestPutAllocatesNothing(t *testing.T) {
	o := options(t)
	o.Queue, o.Sample = 1<<16, 0.5
	l := open(t, o)
	r := full()
	if n := testing.AllocsPerRun(1000, func() { l.sample.picks(&r) }); n != 0 {
		t.Errorf("a sampled record allocates %v times", n)
	}
	s := &slow{go1: make(chan struct{})}
	q := NewQueue(64, s)
	if n := testing.AllocsPerRun(1000, func() { q.Put(&r) }); n != 0 {
		t.Errorf("a queued record allocates %v times", n)
	}
	close(s.go1)
	q.Close(context.Background())
}
