package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/rs/zerolog"

	"fivetuple/runner/server"
)

// finish is how long calls in flight may take when draining is over: APISIX kills its runner a second after SIGTERM.
const finish = 80 * time.Millisecond

// serving is a server at work: how it starts, and how it ends.
type serving struct {
	server    *server.Server
	access    server.Access // to a socket of its own
	socket    *server.Socket
	activated bool // by systemd, which keeps the listener
	stays     bool // nobody may take over
	drain     time.Duration
	place     place
	log       zerolog.Logger

	taken chan struct{} // closed when another process has taken over

	mu      sync.Mutex
	control *server.Control // nil: nobody may take over, or not yet
	ending  bool
}

// place is a gateway's place, which one process has at a time.
type place struct {
	shared *fleetPart
	last   <-chan struct{} // closed when this process has told others all that it has to
}

func newServing(s *server.Server, to server.Access, drain time.Duration, p place, log zerolog.Logger) *serving {
	return &serving{server: s, access: to, drain: drain, place: p, log: log, taken: make(chan struct{})}
}

// start serves on what systemd handed over, on what a running process gives away, or on a socket of its own.
func (s *serving) start(ctx context.Context, path string, passed *server.Passed, r role) error {
	if passed != nil && r.takesOver {
		passed.Close()
		return errTwoWays
	}
	var before server.Before
	err := server.ErrNobody
	if r.takesOver {
		s.socket, before, err = server.TakeOver(ctx, s.server, path, s.access, s.log)
	}
	if errors.Is(err, server.ErrNobody) {
		before = server.Before{Rest: closed(), Gone: closed()}
		err = s.listen(path, passed)
	}
	if err != nil {
		return err
	}
	s.place.shared.speak(before.Gone)
	s.stays = s.activated || r.stays
	go s.offer(before.Rest)
	if !s.activated {
		go s.keepSocket(ctx, path)
	}
	return nil
}

func closed() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// listen serves on systemd's socket, or makes one. What the process before stored is taken up first.
func (s *serving) listen(path string, passed *server.Passed) (err error) {
	if passed != nil {
		s.socket, s.activated = passed.Socket, passed.Socket != nil
	}
	if s.socket == nil {
		if s.socket, err = server.Listen(path, s.access); err != nil {
			return err
		}
	}
	if passed != nil {
		tokens, conns := passed.Serve(s.server)
		s.log.Info().Int("connections", conns).Int("tokens", tokens).Bool("socket", s.activated).Msg("took what systemd kept")
	}
	go s.server.Serve(s.socket.UnixListener)
	if passed != nil && server.StoreSize() > 0 {
		if err := server.Forget(); err != nil {
			s.log.Warn().Err(err).Msg("tell the service manager")
		}
	}
	return nil
}

// offer lets another process take over, once this one has all that it took over itself.
func (s *serving) offer(rest <-chan struct{}) {
	<-rest
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending || s.stays {
		return
	}
	control, err := server.OpenControl(s.server, s.socket, s.place.last, s.log)
	if err != nil {
		s.log.Warn().Err(err).Msg("no other process can take over from this one")
		return
	}
	s.control = control
	go func() {
		<-control.Given()
		s.place.shared.yield()
		<-control.Taken()
		close(s.taken)
	}()
}

// untilEnd serves until the context ends or another process has taken over, and then ends well.
func (s *serving) untilEnd(ctx context.Context) error {
	select {
	case <-s.taken:
		s.log.Info().Msg("runner ends: another one serves")
		return nil
	case <-ctx.Done():
	}
	s.notify(daemon.SdNotifyStopping)
	if size := server.StoreSize(); size > 0 && s.activated {
		if s.store(size) {
			return nil
		}
	}
	s.drainOut()
	return nil
}

// store leaves connections and tokens to systemd. It returns false if that failed, and the server still serves.
func (s *serving) store(size int) bool {
	ctx, cancel := context.WithTimeout(context.Background(), s.drain+finish)
	defer cancel()
	stored, lost, err := server.Store(ctx, s.server, size)
	if err != nil {
		s.log.Error().Err(err).Msg("draining instead")
		return false
	}
	s.log.Info().Int("connections", stored).Uint64("calls_lost", lost).Msg("runner ends: systemd keeps what it had")
	return true
}

// drainOut goes on serving, because the gateway goes on calling over connections that it keeps, and closes what is left.
// Another process may still take over.
func (s *serving) drainOut() {
	select {
	case <-s.taken:
	case <-time.After(s.drain):
	}
	if s.closeControl() {
		s.log.Info().Msg("runner ends: another one serves")
		return
	}
	if err := s.currentSocket().Remove(); err != nil {
		s.log.Error().Err(err).Msg("remove socket")
	}
	ctx, cancel := context.WithTimeout(context.Background(), finish)
	defer cancel()
	lost := s.server.Close(ctx)
	s.log.Info().Uint64("calls_lost", lost).Dur("drained_ms", s.drain).Msg("runner ends")
}

// closeControl returns whether another process has taken over.
func (s *serving) closeControl() bool {
	s.mu.Lock()
	s.ending = true
	control := s.control
	s.mu.Unlock()
	if control == nil {
		return false
	}
	taken, err := control.Close()
	if err != nil {
		s.log.Warn().Err(err).Msg("close control socket")
	}
	return taken
}

// notify tells systemd, if there is one.
func (s *serving) notify(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		s.log.Warn().Err(err).Str("state", state).Msg("tell the service manager")
	}
}
