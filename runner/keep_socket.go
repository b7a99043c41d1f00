package main

import (
	"context"
	"time"

	"fivetuple/runner/server"
)

// socketLook is how often the runner looks whether its socket's file is still there.
const socketLook = 200 * time.Millisecond

// keepSocket makes the socket again when somebody has deleted its file: the gateway could not connect any more, and only
// the connections that it keeps would be served.
func (s *serving) keepSocket(ctx context.Context, path string) {
	tick := time.NewTicker(socketLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.taken:
			return
		case <-tick.C:
		}
		if s.currentSocket().IsGone() && !s.renewSocket(path) {
			return
		}
	}
}

// renewSocket returns false if this process has come to its end.
func (s *serving) renewSocket(path string) bool {
	s.mu.Lock()
	control, ending := s.control, s.ending
	s.control = nil
	s.mu.Unlock()
	if ending {
		return false
	}
	if control != nil { // it gives the old socket away
		if taken, err := control.Close(); taken {
			return false
		} else if err != nil {
			s.log.Warn().Err(err).Msg("close control socket")
		}
	}
	socket, err := server.Listen(path, s.access)
	if err != nil {
		s.log.Error().Err(err).Msg("the socket's file was deleted and cannot be made again")
		return true
	}
	s.mu.Lock()
	old := s.socket
	s.socket = socket
	s.mu.Unlock()
	go s.server.Serve(socket.UnixListener)
	_ = old.Close() // nobody can connect to it any more
	s.log.Warn().Str("socket", path).Msg("the socket's file was deleted: made again")
	go s.offer(closed())
	return true
}

func (s *serving) currentSocket() *server.Socket {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.socket
}
