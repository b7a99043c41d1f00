package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apache/apisix-go-plugin-runner/pkg/plugin"
	"github.com/rs/zerolog"

	"fivetuple/correlator"
)

const (
	// acceptPause is how long accepting rests after an error, such as too many open files.
	acceptPause = 20 * time.Millisecond
	// acceptRest is how long a server that is closed accepts what the kernel has in its queue. No more comes: the socket's
	// file is gone by then.
	acceptRest = 5 * time.Millisecond
)

// Options are what a server works with.
type Options struct {
	Plugins []plugin.Plugin
	// OnConfigError is what calls of a route with a wrong configuration get: ConfigErrorMark or ConfigErrorRefuse.
	OnConfigError string
	// Off says whether a route is switched off: its plugins do not run. It is asked on every call; nil: none is.
	Off func(correlator.Route) bool
	// PeerUIDs are the users that may act as a gateway, beside root and the process's own; nil: everybody who can connect.
	PeerUIDs []uint32
	// Numbers gives out token numbers that no other process on the socket's path gives out.
	Numbers func() (uint32, error)
	// Now is the clock of the tokens; nil: time.Now.
	Now func() time.Time
	// Status returns what AskStatus receives; nil: AskStatus receives an error.
	Status func() []byte
	// Stats is what the server counts in; nil: counters of its own.
	Stats *Stats
	// Seen records the routes whose configurations are prepared; nil: they are not needed.
	Seen *SeenRoutes
	Log  zerolog.Logger
}

// Stats are what a server counts, since it was made.
type Stats struct {
	Accepted, Refused      atomic.Uint64 // connections
	Evicted                atomic.Uint64 // connections that were closed in favor of another user's, or as idle for longest
	Foreign                atomic.Uint64 // connections of users that may not act as a gateway
	EntriesLeftOut         atomic.Uint64 // headers and arguments of calls that were not read
	Prepared               atomic.Uint64 // PrepareConf answered
	Calls                  atomic.Uint64 // calls that had a token that holds
	TokensNotFound         atomic.Uint64
	TokensEvicted          atomic.Uint64 // made room for others, or not used for too long
	ConfigErrors           atomic.Uint64 // configurations with something wrong
	ConfigErrorCalls       atomic.Uint64 // calls of such a configuration
	UnknownKeys            atomic.Uint64 // configurations of no known form of key
	Panics                 atomic.Uint64
	Malformed              atomic.Uint64 // frames; each ended its connection
	TooLong                atomic.Uint64 // answers that did not fit into a frame
	Lost                   atomic.Uint64 // calls that were under way when the server was closed
	AcceptErrors, IOErrors atomic.Uint64
}

// Server answers APISIX. Its connections are independent of each other; on one, frames are answered in order.
type Server struct {
	plugins       map[string]plugin.Plugin
	onConfigError string
	isOff         func(correlator.Route) bool
	status        func() []byte
	log           zerolog.Logger
	limitedLog    zerolog.Logger // of what others can bring about at will
	endLog        zerolog.Logger // of connections that ended with an error
	tokens        *tokens
	peerUIDs      map[uint32]struct{} // nil: everybody
	peerWait      time.Duration       // the constant, but for tests
	frameWait     time.Duration       // as above
	softSessions  int                 // beyond it idle connections are evicted
	hardSessions  int
	started       time.Time // of sinceStart
	works         chan *work
	stats         *Stats
	seen          *SeenRoutes

	mu        sync.Mutex
	listener  *net.UnixListener
	sessions  map[*session]struct{}
	peers     map[uint32]*peer // of sessions, by their users
	held      int              // bytes of all long frames
	peakHeld  int              // the most that it was since memory was returned to the system
	returned  time.Duration    // when that was, by sinceStart
	room      chan struct{}    // closed when a session has ended or a long frame, if somebody waits for it
	closing   bool
	handOver  func(*net.UnixConn) // is told of connections that ended between two frames; nil: they are closed
	given     []*net.UnixConn     // those, until Resume or Release
	accepting chan struct{}       // closed when Serve has ended
	active    int                 // sessions, and 1 while accepting
	quiet     chan struct{}       // closed when there are none, if somebody waits for it
}

// New returns a server of plugins with different names.
func New(o Options) (*Server, error) {
	s := &Server{
		plugins: make(map[string]plugin.Plugin), onConfigError: o.OnConfigError, isOff: o.Off, status: o.Status, log: o.Log,
		sessions: make(map[*session]struct{}), peers: make(map[uint32]*peer), peerWait: peerWait, frameWait: frameWait,
		started: time.Now(), works: make(chan *work, keepWorks),
		limitedLog: o.Log.Sample(&zerolog.BurstSampler{Burst: 3, Period: time.Minute}),
		endLog:     o.Log.Sample(&zerolog.BurstSampler{Burst: 100, Period: time.Second}),
	}
	s.softSessions, s.hardSessions = sessionBounds(openFiles())
	if o.PeerUIDs != nil {
		s.peerUIDs = make(map[uint32]struct{})
		for _, uid := range o.PeerUIDs {
			s.peerUIDs[uid] = struct{}{}
		}
	}
	for _, p := range o.Plugins {
		if _, twice := s.plugins[p.Name()]; twice || p.Name() == "" {
			return nil, fmt.Errorf("plugin %q: a plugin has a name of its own", p.Name())
		}
		s.plugins[p.Name()] = p
	}
	if o.OnConfigError != ConfigErrorMark && o.OnConfigError != ConfigErrorRefuse {
		return nil, fmt.Errorf("on_config_error: %q is not one of %s, %s", o.OnConfigError, ConfigErrorMark, ConfigErrorRefuse)
	}
	if s.isOff == nil {
		s.isOff = func(correlator.Route) bool { return false }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if s.stats = o.Stats; s.stats == nil {
		s.stats = new(Stats)
	}
	if s.seen = o.Seen; s.seen == nil {
		s.seen = new(SeenRoutes)
	}
	s.tokens = newTokens(o.Numbers, o.Now)
	s.tokens.evicted = &s.stats.TokensEvicted
	return s, nil
}

// Stats returns the counters.
func (s *Server) Stats() *Stats { return s.stats }

// Serve accepts connections until the server is closed or hands over.
func (s *Server) Serve(l *net.UnixListener) {
	ended := make(chan struct{})
	defer close(ended)
	s.mu.Lock()
	s.listener, s.accepting = l, ended
	closing := s.closing
	if !closing {
		s.active++
	}
	s.mu.Unlock()
	if closing {
		return
	}
	defer s.leave()
	for {
		conn, err := l.AcceptUnix()
		switch {
		case err == nil:
			s.stats.Accepted.Add(1)
			s.take(conn)
		case errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded):
			return
		default: // too many open files, most likely: the connection stays in the queue
			if s.stats.AcceptErrors.Add(1)%100 == 1 {
				s.log.Error().Err(err).Msg("cannot accept connections")
			}
			s.relieve()
			time.Sleep(acceptPause)
		}
	}
}

// Adopt serves a connection that another process accepted.
func (s *Server) Adopt(conn *net.UnixConn) {
	if c := s.identify(conn); c != nil && s.adopt(c, false, idleGrace) != nil {
		s.refuse(c)
	}
}

// take serves a connection that was just accepted. If one user alone holds all that there may be, it waits for one of them to end.
func (s *Server) take(conn *net.UnixConn) {
	c := s.identify(conn)
	if c == nil {
		return
	}
	began, grace := time.Now(), idleGrace
	for {
		room := s.adopt(c, true, grace)
		if room == nil {
			return
		}
		waited := time.Since(began)
		if waited > roomWait || !s.isAlone(c.uid) {
			s.refuse(c)
			return
		}
		if waited > pressAfter {
			grace = pressGrace
		}
		timer := time.NewTimer(roomLook)
		select {
		case <-room:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// isAlone reports whether no other user has a connection or a token.
func (s *Server) isAlone(uid uint32) bool {
	s.mu.Lock()
	_, own := s.peers[uid]
	isAlone := own && len(s.peers) == 1 && !s.closing
	s.mu.Unlock()
	return isAlone && s.tokens.isAlone(uid)
}

// identify returns a session of a connection, or nil if its user may not act as a gateway.
func (s *Server) identify(conn *net.UnixConn) *session {
	who, err := peerOf(conn)
	if err != nil || !s.isGateway(who.Uid) {
		s.refuseForeign(conn, who, err)
		return nil
	}
	return newSession(s, conn, who.Uid)
}

// adopt serves a connection. A fresh one has its first frame still to come. If there is no room, it returns a channel that is closed
// when there may be some.
func (s *Server) adopt(c *session, fresh bool, grace time.Duration) (room <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.enter(c, grace) {
		return s.nextRoom()
	}
	s.active++
	if s.closing {
		c.oneMore = fresh && s.handOver == nil
		c.interrupt()
	}
	go s.run(c)
	return nil
}

// run serves a session to its end.
func (s *Server) run(c *session) {
	defer s.leave()
	err := errGoexit
	defer func() { s.drop(c, err) }()
	err = c.serve()
	for errors.Is(err, errHandOver) && !s.release(c) {
		err = c.serve()
	}
}

// errGoexit means that a plugin ended its goroutine, and the connection with it.
var errGoexit = errors.New("a plugin ended its goroutine")

// drop ends a session whose connection is not given away.
func (s *Server) drop(c *session, err error) {
	if errors.Is(err, errHandOver) {
		return
	}
	s.mu.Lock()
	s.exit(c)
	evicted := c.evicted
	s.mu.Unlock()
	_ = c.conn.Close()
	if err != nil && !evicted && !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) { // Close closed that one
		s.stats.IOErrors.Add(1)
		s.endLog.Warn().Err(err).Msg("connection of the gateway ended")
	}
}

// release lets go of a session that ended between two frames: its connection is given away, or closed. It returns false if
// the session has to go on: the server resumed meanwhile, or a frame came that must not be lost.
func (s *Server) release(c *session) bool {
	s.mu.Lock()
	handOver := s.handOver
	goOn := !s.closing
	if c.evicted {
		s.mu.Unlock()
		return true
	}
	switch {
	case goOn:
		c.resume()
	case handOver != nil:
		s.given = append(s.given, c.conn)
	default:
		goOn = c.hasLast()
	}
	if !goOn {
		s.exit(c)
	}
	s.mu.Unlock()
	switch {
	case goOn:
		return false
	case handOver != nil:
		handOver(c.conn)
	default:
		_ = c.conn.Close()
	}
	return true
}

// leave is the end of a session, or of accepting.
func (s *Server) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active--
	if s.active == 0 && s.quiet != nil {
		close(s.quiet)
		s.quiet = nil
	}
}

// Close stops: connections that the kernel has for us are still accepted, idle ones are closed, and what is in flight is
// finished, until the context ends. Then the rest is cut off. It returns how many calls were.
func (s *Server) Close(ctx context.Context) (lost uint64) {
	s.end(nil, acceptRest)
	done := s.wait(ctx)
	s.mu.Lock()
	if s.listener != nil {
		_ = s.listener.Close()
	}
	if !done {
		for c := range s.sessions {
			if c.isBusy() || hasInput(c.conn) {
				lost++
			}
			_ = c.conn.Close()
		}
	}
	s.mu.Unlock()
	s.stats.Lost.Add(lost)
	return lost
}

// HandOver stops as Close does, but leaves listener and connections open: each connection is given away when it is between
// two frames, by one of several goroutines. Nothing reads from them any more until Resume. It reports an error when the
// context ended before the last one was given; those that are left are given as they come between two frames.
func (s *Server) HandOver(ctx context.Context, take func(*net.UnixConn)) error {
	s.end(take, 0)
	if !s.wait(ctx) {
		return fmt.Errorf("hand over connections: %w", ctx.Err())
	}
	return nil
}

// Resume takes a HandOver back: listener and connections are served as before.
func (s *Server) Resume() {
	s.mu.Lock()
	l, accepting := s.listener, s.accepting
	s.mu.Unlock()
	if accepting != nil {
		<-accepting // soon: its deadline has passed
	}
	s.mu.Lock()
	given := s.given
	s.closing, s.handOver, s.given = false, nil, nil
	for c := range s.sessions {
		c.resume()
	}
	s.mu.Unlock()
	for _, conn := range given {
		s.Adopt(conn)
	}
	if l != nil {
		_ = l.SetDeadline(time.Time{})
		go s.Serve(l)
	}
}

// Release closes what was given away: somebody else has it now. It returns how many connections that were.
func (s *Server) Release() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.given)
	for _, conn := range s.given {
		_ = conn.Close()
	}
	s.given = nil
	return n
}

// end makes every session end at the next possible moment, and accepting after a time.
func (s *Server) end(handOver func(*net.UnixConn), accept time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closing, s.handOver = true, handOver
	s.notifyRoom()
	if s.listener != nil {
		at := time.Unix(1, 0) // wakes Accept
		if accept > 0 {
			at = time.Now().Add(accept)
		}
		_ = s.listener.SetDeadline(at)
	}
	for c := range s.sessions {
		c.interrupt()
	}
}

// wait returns when all sessions and accepting have ended, or false when the context has.
func (s *Server) wait(ctx context.Context) bool {
	s.mu.Lock()
	if s.active == 0 {
		s.mu.Unlock()
		return true
	}
	if s.quiet == nil {
		s.quiet = make(chan struct{})
	}
	quiet := s.quiet
	s.mu.Unlock()
	select {
	case <-quiet:
		return true
	case <-ctx.Done():
		return false
	}
}

// Token is a prepared configuration as it is handed to another process.
type Token struct {
	Number uint32
	Key    []byte
	Conf   [][2][]byte // plugin name and configuration
}

// Tokens returns all that hold, for a process that takes over: the gateway goes on using them.
func (s *Server) Tokens() []Token { return s.tokens.export() }

// Restore takes the tokens of the process before. They belong to nobody until they are used.
func (s *Server) Restore(tokens []Token) {
	for _, t := range tokens {
		p := prepared{key: t.Key}
		for _, e := range t.Conf {
			p.conf = append(p.conf, entry{e[0], e[1]})
		}
		p = p.bounded()
		s.tokens.restore(t.Number, p, s.parseConf(p))
	}
}
