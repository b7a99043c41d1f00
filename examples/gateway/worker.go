package gateway

import (
	"sync/atomic"
)

// worker is what one nginx worker process has to itself: its tokens, its runner connections, its counter.
// A client connection belongs to one worker for its whole life.
type worker struct {
	index   int // from 0
	tokens  *tokenLRU
	runners *pool
	calls   atomic.Uint32
}

// nextID is the id of the next HTTPReqCall: the worker's number above a counter of 22 bits.
func (w *worker) nextID() uint32 {
	counter := (w.calls.Add(1) - 1) % idCounterSize
	return uint32(w.index)<<22 + counter //nolint:gosec // Options.Workers bounds the index to 10 bits
}
