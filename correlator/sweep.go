package correlator

import (
	"errors"

	"fivetuple/correlator/flow"
)

// waiting is a connection whose group is looked at again when the time has come.
type waiting struct {
	key  flow.Key
	conn *connection
	due  uint64
}

// wait is how long a connection waits for its look: longer than quiet, so that one that is silent since its call is closed
// at the first.
func (c *Correlator) wait() uint64 { return c.quiet + c.quiet/4 }

// queue is first in, first out: each wait is as long, so that the first is due first.
type queue struct {
	entries []waiting
	head    int
}

func (q *queue) push(w waiting) {
	if q.head > len(q.entries)/2 {
		n := copy(q.entries, q.entries[q.head:])
		clear(q.entries[n:])
		q.entries, q.head = q.entries[:n], 0
	}
	q.entries = append(q.entries, w)
}

// pop returns the first entry if it is due.
func (q *queue) pop(now uint64) (waiting, bool) {
	if q.head == len(q.entries) || q.entries[q.head].due > now {
		return waiting{}, false
	}
	w := q.entries[q.head]
	q.entries[q.head] = waiting{}
	q.head++
	return w, true
}

// wait has a connection with an open group looked at later. Each is in the queue once.
func (s *shard) wait(key flow.Key, conn *connection, due uint64) {
	if !conn.waits {
		conn.waits = true
		s.queue.push(waiting{key, conn, due})
	}
}

// sweepBatch is how many connections are looked at before others may have the shard.
const sweepBatch = 64

// Sweep closes the calls that have ended without another one after them: their connection is closed, or has been silent for
// the setting `quiet` after a response. It is to be called about once a second.
func (c *Correlator) Sweep(now uint64) {
	r := c.pool.Get().(*flow.Record)
	defer c.pool.Put(r)
	for i := range c.shards {
		for c.sweepSome(&c.shards[i], r, now) {
		}
	}
}

// sweepSome returns whether there may be more that is due.
func (c *Correlator) sweepSome(s *shard, r *flow.Record, now uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range sweepBatch {
		w, ok := s.queue.pop(now)
		if !ok {
			return false
		}
		w.conn.waits = false
		if w.conn.group.open && !c.sweepOne(s, w, r, now) {
			s.wait(w.key, w.conn, now+c.wait())
		}
	}
	return true
}

// sweepOne looks at an open group, and returns whether it was closed.
func (c *Correlator) sweepOne(s *shard, w waiting, r *flow.Record, now uint64) bool {
	conn := w.conn
	switch err := c.table.Lookup(w.key, r); {
	case err == nil && r.Conn.ID == conn.flow:
	case err == nil, errors.Is(err, flow.ErrNotFound):
		c.cut(s, conn) // the record went, or is that of another connection
		return true
	default:
		return false // it may be readable again
	}
	s.looked(conn)
	conn.group.look(r, r.Exchange)
	silent := now > r.Conn.Last && now-r.Conn.Last >= c.quiet
	if r.Conn.State != flow.StateClosed && (!silent || !conn.group.answered()) {
		return false
	}
	c.settle(s, conn, r, r.Exchange, now)
	return true
}

// Flush closes every call that has not ended, because the runner does: as cut, with what is known of it now.
func (c *Correlator) Flush() {
	r := c.pool.Get().(*flow.Record)
	defer c.pool.Put(r)
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		for _, key := range s.conns.Keys() {
			conn, _ := s.conns.Peek(key)
			if !conn.group.open {
				continue
			}
			if c.table.Lookup(key, r) == nil && r.Conn.ID == conn.flow {
				s.looked(conn)
				conn.group.look(r, r.Exchange)
			}
			c.cut(s, conn)
		}
		s.mu.Unlock()
	}
}
