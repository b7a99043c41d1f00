package server

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	flatbuffers "github.com/google/flatbuffers/go"
)

const (
	// shortFrame is the longest frame, with its header, that counts for nothing: it lies in the connection's own buffer.
	shortFrame = 4096
	// maxHeld bounds the bytes of all longer frames that are being read or answered at a time.
	maxHeld = 64 << 20
	// returnFrom is how much memory long frames must have taken for it to be returned to the system, once none is left.
	returnFrom = 8 << 20
	// returnEvery is the least time between two such returns, each of which collects garbage.
	returnEvery = 10 * time.Second
)

// errHeld means that there was no room for a frame in time.
var errHeld = errors.New("too many long frames at a time")

// work is what a session uses while it reads and answers a frame. Between two frames a session has none, so that an idle connection holds
// little.
type work struct {
	frame     []byte
	request   request
	response  response
	writer    writer
	out       encoder
	questions flatbuffers.Builder
}

// keepWorks is how many are kept for the next frame, of whichever session.
const keepWorks = 256

// begin gives a session what it works with.
func (s *session) begin() {
	select {
	case s.work = <-s.server.works:
	default:
		s.work = &work{questions: *flatbuffers.NewBuilder(64)}
	}
	s.request.session, s.response.session = s, s
}

// forget ends a call: its context does, and nothing large is kept until the next one, which may be long in coming.
func (s *session) forget() {
	s.request.reset()
	s.response.reset()
	s.writer.reset()
	s.request.session, s.response.session = nil, nil
	s.frame = s.frame[:0]
	if cap(s.frame) > keepBuffer {
		s.frame = nil
	}
	if cap(s.out.b.Bytes) > keepBuffer || cap(s.out.entries) > keepEntries {
		s.out = encoder{}
	}
	select {
	case s.server.works <- s.work:
	default:
	}
	s.work = nil
	if s.isLong {
		s.isLong = false
		s.server.releaseFrame(s)
	}
}

// holdFrame waits until there is room for a frame. Without room, the user that holds most loses the connection whose frame
// has been there for longest, unless it is the session's own.
func (s *Server) holdFrame(c *session, length int) error {
	c.isLong = true
	var timeout <-chan time.Time
	for {
		room, ok := s.tryHold(c, length)
		if ok {
			return nil
		}
		if timeout == nil {
			timer := time.NewTimer(s.frameWait)
			defer timer.Stop()
			timeout = timer.C
		}
		select {
		case <-room:
		case <-timeout:
			return fmt.Errorf("%w: no room for %d bytes within %v, at most %d at a time: %w", errHeld, length, s.frameWait, maxHeld, os.ErrDeadlineExceeded)
		}
	}
}

// tryHold takes room for a frame; else it returns a channel that is closed when there may be some.
func (s *Server) tryHold(c *session, length int) (room <-chan struct{}, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.evicted { // reading the frame fails
		return nil, true
	}
	own := s.peers[c.uid]
	for s.held+length > maxHeld {
		most := s.holdsMost(func(p *peer) int { return p.held })
		if most == own || most.held <= own.held+length {
			return s.nextRoom(), false
		}
		s.evict(most.longestHeld(), "frames")
	}
	if c.held == 0 {
		c.heldSince = s.sinceStart()
	}
	c.held += length
	own.held += length
	s.held += length
	s.peakHeld = max(s.peakHeld, s.held)
	return nil, true
}

// longestHeld returns the session whose frame has been there for longest.
func (p *peer) longestHeld() (c *session) {
	for each := range p.sessions {
		if each.held > 0 && (c == nil || each.heldSince < c.heldSince) {
			c = each
		}
	}
	return c
}

// freeFrame frees what a session holds. The server's lock must be held.
func (s *Server) freeFrame(c *session) {
	if c.held == 0 {
		return
	}
	s.held -= c.held
	s.peers[c.uid].held -= c.held
	c.held = 0
	s.notifyRoom()
}

// releaseFrame frees what a session holds, and returns memory to the system when no long frame is left.
func (s *Server) releaseFrame(c *session) {
	s.mu.Lock()
	s.freeFrame(c)
	now := s.sinceStart()
	isDue := s.held == 0 && s.peakHeld >= returnFrom && (s.returned == 0 || now-s.returned >= returnEvery)
	if isDue {
		s.peakHeld, s.returned = 0, now
	}
	s.mu.Unlock()
	if isDue {
		debug.FreeOSMemory()
	}
}
