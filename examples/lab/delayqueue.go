package lab

import (
	"container/heap"
	"time"
)

// delayQueue holds frames until they are due. When it is full, frames are refused.
type delayQueue struct {
	capacity int
	frames   byDue
	number   uint64
}

// push takes a frame, or returns false because the queue is full.
func (q *delayQueue) push(frame []byte, due time.Time) bool {
	if len(q.frames) >= q.capacity {
		return false
	}
	q.number++
	heap.Push(&q.frames, delayed{frame: frame, due: due, number: q.number})
	return true
}

// pop returns a frame that is due, and since when; nil without one.
func (q *delayQueue) pop(now time.Time) (frame []byte, late time.Duration) {
	if len(q.frames) == 0 || now.Before(q.frames[0].due) {
		return nil, 0
	}
	first := heap.Pop(&q.frames).(delayed)
	return first.frame, now.Sub(first.due)
}

// wait returns how long it is until a frame is due; false without one.
func (q *delayQueue) wait(now time.Time) (time.Duration, bool) {
	if len(q.frames) == 0 {
		return 0, false
	}
	return max(q.frames[0].due.Sub(now), 0), true
}

type delayed struct {
	frame  []byte
	due    time.Time
	number uint64 // frames that are due at one time leave as they came
}

// byDue implements heap.Interface.
type byDue []delayed

func (d byDue) Len() int      { return len(d) }
func (d byDue) Swap(i, j int) { d[i], d[j] = d[j], d[i] }
func (d *byDue) Push(x any)   { *d = append(*d, x.(delayed)) }

func (d byDue) Less(i, j int) bool {
	return d[i].due.Before(d[j].due) || d[i].due.Equal(d[j].due) && d[i].number < d[j].number
}

func (d *byDue) Pop() any {
	old := *d
	last := old[len(old)-1]
	old[len(old)-1] = delayed{}
	*d = old[:len(old)-1]
	return last
}
