package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
)

// kindStatus is a frame that APISIX does not send. It requests the process's status, and may be sent by every process that may connect
// to the socket. The answer is a frame of the same kind, with what Options.Status returns as its payload.
const kindStatus kind = 0xf0

// ErrStatus means that no process returned its status.
var ErrStatus = errors.New("no status from the socket")

// AskStatus asks the process that serves a socket for its status, until the context ends.
func AskStatus(ctx context.Context, path string) ([]byte, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("%w %s: %w: run this as root, as the runner's user, or as a member of the socket's group (runner.socket_mode, runner.socket_group)",
			ErrStatus, path, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%w %s: no runner serves it: %w", ErrStatus, path, err)
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })() // a stopped process does not answer
	question := make([]byte, frameHeader)
	if err := putHeader(question, kindStatus, 0); err != nil {
		return nil, err
	}
	_, err = conn.Write(question)
	var answer kind
	var payload []byte
	if err == nil {
		answer, payload, err = readFrame(conn, nil)
	}
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%w %s: the process that serves it does not answer: %w", ErrStatus, path, context.Cause(ctx))
	case errors.Is(err, io.EOF):
		return nil, fmt.Errorf("%w %s: the process that serves it ends, or its runner.peer_uids lacks user %d", ErrStatus, path, os.Geteuid())
	case err != nil:
		return nil, fmt.Errorf("%w %s: %w", ErrStatus, path, err)
	case answer != kindStatus:
		return nil, fmt.Errorf("%w %s: an answer of type %v: it is a runner of an older version, or not ours", ErrStatus, path, answer)
	}
	return payload, nil
}

// answerStatus answers a frame of kindStatus.
func (s *session) answerStatus() error {
	text := s.server.status()
	frame := append(make([]byte, frameHeader, frameHeader+len(text)), text...)
	if err := putHeader(frame, kindStatus, len(text)); err != nil {
		return err
	}
	s.write(frame)
	return s.broken
}
