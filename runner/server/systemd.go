package server

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/coreos/go-systemd/v22/activation"
	"golang.org/x/sys/unix"
)

// The names of descriptors that systemd hands over: the listener's is FileDescriptorName= in the socket unit.
const (
	nameListener   = "fivetuple.socket"
	nameConnection = "fivetuple.connection"
	nameTokens     = "fivetuple.tokens"
)

// ErrActivation means that what systemd handed over cannot be served.
var ErrActivation = errors.New("descriptors of the service manager")

// Passed is what systemd handed to this process: the listener of a socket unit, and what the process before stored.
type Passed struct {
	Socket *Socket // nil: there is none
	conns  []*net.UnixConn
	tokens []Token
}

// Activated takes what systemd handed over; nil if that is nothing. The environment that tells of it is cleared.
func Activated() (*Passed, error) {
	files := activation.Files(true)
	if len(files) == 0 {
		return nil, nil //nolint:nilnil // not being started by systemd is no error
	}
	defer closeAll(files) // those that are taken are duplicated
	p := new(Passed)
	for _, f := range files {
		if err := p.take(f); err != nil {
			p.Close()
			return nil, fmt.Errorf("%w: %s: %w", ErrActivation, f.Name(), err)
		}
	}
	return p, nil
}

func (p *Passed) take(f *os.File) error {
	switch f.Name() {
	case nameTokens:
		text, err := io.ReadAll(io.NewSectionReader(f, 0, maxTokenBytes+1))
		if err != nil {
			return err
		}
		tokens, err := decodeTokens(text)
		p.tokens = append(p.tokens, tokens...)
		return err
	case nameConnection:
		conn, err := asConn(f)
		if err != nil {
			return err
		}
		p.conns = append(p.conns, conn)
		return nil
	default: // a socket unit may name its listener otherwise
		if !isListening(f) {
			return errors.New("it is no listening socket, nor one of ours")
		}
		l, err := asListener(f)
		if err != nil {
			return err
		}
		if p.Socket != nil {
			return errors.Join(errors.New("it is a second listener"), l.Close())
		}
		p.Socket = &Socket{UnixListener: l, path: l.Addr().String()}
		return nil
	}
}

// isListening says whether a descriptor is a listening stream socket.
func isListening(f *os.File) bool {
	raw, err := f.SyscallConn()
	if err != nil {
		return false
	}
	listening, kind := 0, 0
	err = raw.Control(func(fd uintptr) {
		listening, _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
		kind, _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TYPE)
	})
	return err == nil && listening == 1 && kind == unix.SOCK_STREAM
}

// Close closes what was handed over; the socket's file is systemd's.
func (p *Passed) Close() {
	for _, conn := range p.conns {
		_ = conn.Close()
	}
	if p.Socket != nil {
		_ = p.Socket.Close()
	}
}

// Serve has a server take up what the process before stored.
func (p *Passed) Serve(s *Server) (tokens, conns int) {
	s.Restore(p.tokens)
	for _, conn := range p.conns {
		s.Adopt(conn)
	}
	return len(p.tokens), len(p.conns)
}
