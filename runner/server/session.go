package server

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	apierr "github.com/api7/ext-plugin-proto/go/A6/Err"
	"golang.org/x/sys/unix"
)

const (
	// peerWait bounds how long the gateway may take to send a body that it is asked for, or to read. It is the gateway's own time-out for
	// a read.
	peerWait = 60 * time.Second
	// frameWait bounds how long a frame may take from its first byte to its last, and a variable's value to come: the gateway has
	// both at hand.
	frameWait = 15 * time.Second
)

// session is one connection of the gateway's. It serves one frame after the other; between two frames it only waits.
type session struct {
	server *Server
	conn   *net.UnixConn
	uid    uint32 // of the process that connected
	in     *bufio.Reader
	*work       // nil between two frames
	isLong bool // the frame at hand, or an answer, counts against maxHeld

	broken error        // the connection cannot be used any more
	active atomic.Int64 // when a frame began or ended last, by Server.sinceStart

	// The server's lock guards these.
	held      int // bytes of long frames
	heldSince time.Duration
	evicted   bool // its connection was closed in favor of another user's

	mu      sync.Mutex
	waiting bool // between two frames
	stop    bool // to end there
	oneMore bool // but not before the next frame
	timed   bool // a read deadline is set
}

func newSession(s *Server, conn *net.UnixConn, uid uint32) *session {
	c := &session{server: s, conn: conn, uid: uid, in: bufio.NewReaderSize(conn, shortFrame), timed: true} // one that was given back has a deadline
	c.active.Store(int64(s.sinceStart()))
	return c
}

// errHandOver ends a session between two frames: the connection lives on elsewhere.
var errHandOver = errors.New("connection is handed over")

// serve answers frames until the gateway closes the connection (io.EOF), a frame is malformed, or it was told to stop
// between two (errHandOver).
func (s *session) serve() error {
	for {
		if err := s.wait(); err != nil {
			return err
		}
		if err := s.one(); err != nil {
			return err
		}
	}
}

// wait returns when a frame begins. The gateway keeps connections for minutes, so that waiting has no deadline but the
// one that interrupt sets.
func (s *session) wait() error {
	if err := s.beginWait(); err != nil {
		return err
	}
	_, err := s.in.Peek(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = false
	switch {
	case err == nil:
		if s.timed { // the frame came with the interruption, whose deadline must not end it
			return s.conn.SetReadDeadline(time.Now().Add(s.server.frameWait))
		}
		return nil
	case errors.Is(err, io.EOF):
		return io.EOF
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errHandOver
	}
	return fmt.Errorf("wait for a frame: %w", err)
}

func (s *session) beginWait() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stop && !s.oneMore && s.in.Buffered() == 0 {
		return errHandOver
	}
	s.oneMore = false
	if s.timed {
		if err := s.conn.SetReadDeadline(time.Time{}); err != nil {
			return err
		}
		s.timed = false
	}
	s.waiting = true
	s.active.Store(int64(s.server.sinceStart()))
	return nil
}

// interrupt ends the session between two frames: now if it waits for one, else when the frame at hand is answered.
func (s *session) interrupt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop = true
	if s.waiting {
		s.timed = true
		_ = s.conn.SetReadDeadline(time.Unix(1, 0)) // a closed one has ended
	}
}

// resume takes an interruption back.
func (s *session) resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop, s.oneMore = false, false
}

// hasLast says whether a frame has come that has to be answered before the connection is closed. Once it returned false none
// can come any more: the gateway's write fails.
func (s *session) hasLast() bool {
	if !hasInput(s.conn) {
		_ = s.conn.CloseRead() // what came before can still be read
		if !hasInput(s.conn) {
			return false
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.oneMore = true
	return true
}

// hasInput says whether bytes have come that nobody has read.
func hasInput(conn *net.UnixConn) bool {
	raw, err := conn.SyscallConn()
	if err != nil {
		return false
	}
	n := 0
	if controlErr := raw.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.TIOCINQ) }); controlErr != nil {
		return false
	}
	return err == nil && n > 0
}

// isBusy says whether a frame is being read or answered.
func (s *session) isBusy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.waiting
}

// deadline bounds the reads until the next wait.
func (s *session) deadline(wait time.Duration) {
	if err := s.conn.SetReadDeadline(time.Now().Add(wait)); err != nil && s.broken == nil {
		s.broken = err
	}
	s.timed = true
}

// one reads a frame and answers it.
func (s *session) one() error {
	if !s.isWhole() {
		s.deadline(s.server.frameWait)
		if err := s.arrive(); err != nil {
			return err
		}
	}
	s.begin()
	defer s.forget()
	k, payload, err := readFrame(s.in, s.frame)
	s.frame = payload
	if err != nil {
		return err
	}
	if k == kindStatus && s.server.status != nil {
		return s.answerStatus()
	}
	answer, err := s.dispatch(k, payload)
	if errors.Is(err, errMalformed) {
		s.server.stats.Malformed.Add(1)
		s.fail(apierr.CodeBAD_REQUEST)
		return err
	}
	if s.broken != nil {
		return s.broken
	}
	if err != nil {
		s.answerError(err)
		answer = kindError
	}
	frame := s.out.frame(answer)
	if frame == nil {
		s.server.log.Error().Err(errFrameTooLong).Int("bytes", len(s.out.b.FinishedBytes())+s.out.left).Int("limit", MaxFrame).
			Msg("a plugin's changes do not fit: the call fails")
		s.server.stats.TooLong.Add(1)
		s.out.reset()
		s.out.error(apierr.CodeSERVICE_UNAVAILABLE)
		frame = framed(&s.out.b, kindError)
	}
	s.write(frame)
	return s.broken
}

// isWhole says whether the frame that begins lies in the buffer to its end, as most do.
func (s *session) isWhole() bool {
	n := s.in.Buffered()
	if n < frameHeader {
		return false
	}
	header, err := s.in.Peek(frameHeader)
	return err == nil && n >= frameHeader+(int(header[1])<<16|int(header[2])<<8|int(header[3]))
}

// arrive returns when a short frame lies in the connection's own buffer, or when there is room for a long one.
func (s *session) arrive() error {
	header, err := s.in.Peek(frameHeader)
	if err != nil {
		return fmt.Errorf("read a frame's header: %w", noEOF(err))
	}
	k, length := kind(header[0]), int(header[1])<<16|int(header[2])<<8|int(header[3])
	if frameHeader+length > shortFrame {
		return s.server.holdFrame(s, length)
	}
	if _, err := s.in.Peek(frameHeader + length); err != nil {
		return fmt.Errorf("read %v of %d bytes: %w", k, length, noEOF(err))
	}
	return nil
}

// dispatch answers one frame into s.out, and says of which type the answer is.
func (s *session) dispatch(k kind, payload []byte) (kind, error) {
	switch k {
	case kindPrepareConf:
		p, err := decodePrepareConf(payload)
		if err != nil {
			return 0, err
		}
		token, err := s.server.prepare(p, s.uid)
		if err != nil {
			return 0, err
		}
		s.server.stats.Prepared.Add(1)
		s.out.reset()
		s.out.token(token)
		return k, nil
	case kindHTTPReqCall:
		return k, s.requestCall(payload)
	case kindHTTPRespCall:
		return k, s.responseCall(payload)
	default:
		return 0, fmt.Errorf("%w: %v is not asked of a runner", errMalformed, k)
	}
}

// answerError tells the gateway why a call has no answer. A token that is not known makes it prepare anew.
func (s *session) answerError(err error) {
	code := apierr.Code(apierr.CodeSERVICE_UNAVAILABLE)
	if errors.Is(err, errToken) {
		s.server.stats.TokensNotFound.Add(1)
		code = apierr.CodeCONF_TOKEN_NOT_FOUND
	} else if !errors.Is(err, errPanic) { // that has been logged where it was
		s.server.log.Error().Err(err).Msg("call failed")
	}
	s.out.reset()
	s.out.error(code)
}

// fail sends an error as the connection's last frame.
func (s *session) fail(code apierr.Code) {
	s.out.reset()
	s.out.error(code)
	s.write(framed(&s.out.b, kindError))
}

// write sends a frame in one write. An error ends the session.
func (s *session) write(frame []byte) {
	if s.broken != nil {
		return
	}
	if err := s.conn.SetWriteDeadline(time.Now().Add(s.server.peerWait)); err != nil {
		s.broken = err
		return
	}
	if _, err := s.conn.Write(frame); err != nil {
		s.broken = fmt.Errorf("write answer: %w", err)
	}
}
