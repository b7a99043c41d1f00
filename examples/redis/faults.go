//go:build linux

package redistest

import (
	"syscall"
)

// Kill ends the process as a crash does.
func (s *Server) Kill() { s.t.Helper(); s.signal(syscall.SIGKILL) }

// Shutdown ends it in order.
func (s *Server) Shutdown() { s.t.Helper(); s.signal(syscall.SIGTERM) }

// Stall keeps it from running; its connections stay. Continue ends that.
func (s *Server) Stall() { s.t.Helper(); s.signal(syscall.SIGSTOP) }

// Continue lets it run after Stall.
func (s *Server) Continue() { s.t.Helper(); s.signal(syscall.SIGCONT) }

func (s *Server) signal(which syscall.Signal) {
	s.t.Helper()
	if err := s.process.signal(which); err != nil {
		s.t.Fatalf("send %v to redis: %v", which, err)
	}
}

// Set changes a setting at run time, like ("maxmemory", "1") and ("maxmemory-policy", "noeviction").
func (s *Server) Set(name, value string) {
	s.t.Helper()
	s.Do("CONFIG", "SET", name, value)
}

// Disconnect closes all connections but the rig's own, also those of subscribers.
func (s *Server) Disconnect() {
	s.t.Helper()
	for _, kind := range []string{"normal", "pubsub"} {
		s.Do("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
	}
}
