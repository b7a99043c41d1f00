package server

import (
	"fmt"
	"net"
	"os"
	"os/user"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxSessions bounds the connections of all gateways: a worker of APISIX keeps 32 and opens one for each call beyond. Where the
	// process may open fewer files, the bound is lower.
	maxSessions = 8192
	// mostSessions is the bound where nothing can be evicted at once, because every connection was used a moment ago.
	mostSessions = maxSessions + maxSessions/4
	// ownFiles is how many descriptors are kept for everything but connections: at most so many, or half of a low limit.
	ownFiles = 256
	// idleGrace is how long a connection must have been idle to be evicted in favor of one of its own user. APISIX takes the connection
	// that it used last from its pool, so that one that has been idle for so long is not about to be used.
	idleGrace = time.Second
	// roomWait bounds how long accepting waits for room when one user alone holds all connections; roomLook is how often it looks for idle
	// ones. After pressAfter it takes those that have been idle for pressGrace: workers of a gateway share no connections, so that one may
	// keep what another one needs.
	roomWait   = 5 * time.Second
	roomLook   = 20 * time.Millisecond
	pressAfter = 200 * time.Millisecond
	pressGrace = 200 * time.Millisecond
	// sampled is how many connections of a user are compared in search of the one that has been idle for longest.
	sampled = 64
)

// peer is what the connections of one user hold of what all share. The server's lock guards it.
type peer struct {
	uid      uint32
	sessions map[*session]struct{}
	held     int // bytes of long frames, of all sessions
}

// PeerUIDs returns the numbers of users given by name or number.
func PeerUIDs(names []string) ([]uint32, error) {
	var uids []uint32
	for _, name := range names {
		text := name
		if _, err := strconv.ParseUint(name, 10, 32); err != nil {
			u, err := user.Lookup(name)
			if err != nil {
				return nil, fmt.Errorf("runner.peer_uids: %q is neither a number nor a user of this host: %w", name, err)
			}
			text = u.Uid
		}
		uid, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("runner.peer_uids: user %q has the number %q: %w", name, text, err)
		}
		uids = append(uids, uint32(uid))
	}
	return uids, nil
}

// peerOf returns the process at the other end of a connection, as the kernel recorded it when it connected.
func peerOf(conn *net.UnixConn) (*unix.Ucred, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	var who *unix.Ucred
	if controlErr := raw.Control(func(fd uintptr) {
		who, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); controlErr != nil {
		err = controlErr
	}
	if err != nil {
		return nil, fmt.Errorf("read the credentials of the peer: %w", err)
	}
	return who, nil
}

// isGateway reports whether a user may act as a gateway. Root and the process's own user may.
func (s *Server) isGateway(uid uint32) bool {
	if s.peerUIDs == nil || uid == 0 || int(uid) == os.Geteuid() {
		return true
	}
	_, ok := s.peerUIDs[uid]
	return ok
}

// sessionBounds returns how many connections a process with a limit of open files serves: the bound beyond which idle ones are evicted, and
// the one beyond which none is accepted.
func sessionBounds(files uint64) (soft, hard int) {
	n := int(min(files, 4*mostSessions)) //nolint:gosec // bounded
	hard = min(n-min(ownFiles, n/2), mostSessions)
	return max(hard*4/5, 1), max(hard, 1)
}

// openFiles returns the limit of open files. Go has raised it to what the process may have.
func openFiles() uint64 {
	var limit unix.Rlimit
	if err := unix.Prlimit(0, unix.RLIMIT_NOFILE, nil, &limit); err != nil {
		return 1024
	}
	return limit.Cur
}

// enter adds a session, if there is room or another one is evicted for it. The server's lock must be held.
//
// At the bound, the user that holds most connections loses the one that has been idle for longest. A user that holds most itself loses only
// one that has been idle for a time of grace, because its gateway may be about to use any other.
func (s *Server) enter(c *session, grace time.Duration) bool {
	if n := len(s.sessions); n >= s.softSessions {
		most := s.holdsMost(func(p *peer) int { return len(p.sessions) })
		victim, idle := most.idlest()
		own := s.peers[c.uid]
		isOther := most.uid != c.uid && (own == nil || len(own.sessions) < len(most.sessions))
		switch {
		case idle >= grace:
			s.evict(victim, "connections")
		case n < s.hardSessions:
		case isOther:
			s.evict(victim, "connections")
		default:
			return false
		}
	}
	p := s.peers[c.uid]
	if p == nil {
		p = &peer{uid: c.uid, sessions: make(map[*session]struct{})}
		s.peers[c.uid] = p
	}
	s.sessions[c], p.sessions[c] = struct{}{}, struct{}{}
	return true
}

// relieve evicts a connection that is idle, because the process has no descriptor left to accept another one.
func (s *Server) relieve() {
	s.mu.Lock()
	defer s.mu.Unlock()
	most := s.holdsMost(func(p *peer) int { return len(p.sessions) })
	if most == nil {
		return
	}
	if victim, idle := most.idlest(); idle >= pressGrace {
		s.evict(victim, "files")
	}
}

// exit removes a session and frees what it holds. The server's lock must be held.
func (s *Server) exit(c *session) {
	if _, ok := s.sessions[c]; !ok {
		return
	}
	delete(s.sessions, c)
	s.freeFrame(c)
	p := s.peers[c.uid]
	delete(p.sessions, c)
	if len(p.sessions) == 0 {
		delete(s.peers, c.uid)
	}
	s.notifyRoom()
}

// notifyRoom wakes those that wait for room. The server's lock must be held.
func (s *Server) notifyRoom() {
	if s.room != nil {
		close(s.room)
		s.room = nil
	}
}

// nextRoom returns a channel that is closed when something is freed. The server's lock must be held.
func (s *Server) nextRoom() <-chan struct{} {
	if s.room == nil {
		s.room = make(chan struct{})
	}
	return s.room
}

// holdsMost returns the user that holds most. The server's lock must be held.
func (s *Server) holdsMost(of func(*peer) int) (most *peer) {
	for _, p := range s.peers {
		if most == nil || of(p) > of(most) {
			most = p
		}
	}
	return most
}

// idlest returns the session of a user in which nothing has happened for longest, of a sample, and for how long; 0 if a frame is being read
// or answered.
func (p *peer) idlest() (c *session, idle time.Duration) {
	var best int64
	n := 0
	for each := range p.sessions { // the order is random
		if at := each.active.Load(); c == nil || at < best {
			c, best = each, at
		}
		if n++; n == sampled {
			break
		}
	}
	if c.isBusy() || hasInput(c.conn) {
		return c, 0
	}
	return c, c.server.sinceStart() - time.Duration(best)
}

// evict closes a session's connection in favor of another user's. The server's lock must be held.
func (s *Server) evict(c *session, full string) {
	s.stats.Evicted.Add(1)
	s.limitedLog.Warn().Uint32("uid", c.uid).Int("connections", len(s.peers[c.uid].sessions)).Str("full", full).
		Msg("a bound is reached: a connection of the user that holds most is evicted")
	c.evicted = true
	s.exit(c)
	_ = c.conn.Close()
}

// refuse closes a connection that is not served.
func (s *Server) refuse(c *session) {
	s.stats.Refused.Add(1)
	s.limitedLog.Warn().Uint32("uid", c.uid).Int("limit", s.hardSessions).
		Msg("too many connections: one of the user that holds most is refused")
	_ = c.conn.Close()
}

// refuseForeign closes a connection of a user that may not act as a gateway.
func (s *Server) refuseForeign(conn *net.UnixConn, who *unix.Ucred, err error) {
	s.stats.Foreign.Add(1)
	event := s.limitedLog.Warn().Err(err)
	if who != nil {
		event = event.Uint32("uid", who.Uid).Int32("pid", who.Pid)
	}
	event.Msg("connection refused: its user is not in runner.peer_uids")
	_ = conn.Close()
}

// sinceStart is the time since the server was made, by the monotonic clock.
func (s *Server) sinceStart() time.Duration { return time.Since(s.started) }
