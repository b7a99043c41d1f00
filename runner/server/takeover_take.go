package server

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"
)

const (
	// takeOverWait bounds a take-over, with all attempts: a process that is taken over itself at the moment, or that has
	// only started, answers a little later. So does one whose predecessor has a frame yet to come to its end.
	takeOverWait = frameWait + 5*time.Second
	// takeOverPause is the time between two attempts.
	takeOverPause = 20 * time.Millisecond
)

// Before is the process whose place was taken.
type Before struct {
	// Rest is closed when also those connections have come whose calls it had yet to answer; only then can this process be taken over
	// itself.
	Rest <-chan struct{}
	// Gone is closed when it has told others all that it has to, or has ended; or does neither for too long.
	Gone <-chan struct{}
}

// ErrNobody means that there is no process to take over from.
var ErrNobody = errors.New("nobody serves this socket")

// errNoAnswer means that a process serves the socket, but does not answer beside it.
var errNoAnswer = errors.New("it does not answer on its control socket")

// TakeOver takes a running process's place: its tokens, its listener and its connections, all of which the server serves
// when it returns. After an error nothing has been served, and the other process goes on; ErrNobody means that there is none.
//
// The socket's file gets the access of this process's settings, which may differ from those of the process before.
func TakeOver(ctx context.Context, s *Server, path string, to Access, log zerolog.Logger) (*Socket, Before, error) {
	ctx, cancel := context.WithTimeout(ctx, takeOverWait)
	defer cancel()
	for {
		t, err := connect(ctx, s, path)
		if err == nil {
			return t.takeAll(to, log)
		}
		if !errors.Is(err, errNoAnswer) {
			return nil, Before{}, err
		}
		select {
		case <-ctx.Done():
			return nil, Before{}, fmt.Errorf("take over %s: %w: %w", path, ErrServed, err)
		case <-time.After(takeOverPause):
		}
	}
}

// connect finds the running process, and greets it.
func connect(ctx context.Context, s *Server, path string) (*taker, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unixpacket", path+controlSuffix)
	if err == nil {
		rest := make(chan struct{})
		t := &taker{
			server: s, path: path, from: control{conn.(*net.UnixConn)}, rest: rest, hasRest: sync.OnceFunc(func() { close(rest) }),
		}
		if err = t.greet(); err != nil {
			_ = conn.Close()
			return nil, err
		}
		return t, nil
	}
	if isTimeout(err) {
		return nil, fmt.Errorf("%w: %w", errNoAnswer, err)
	}
	if !isAbsent(err) {
		return nil, fmt.Errorf("take over: %w", err)
	}
	served, servedErr := d.DialContext(ctx, "unix", path)
	switch {
	case servedErr == nil:
		return nil, errors.Join(fmt.Errorf("%w: %w", errNoAnswer, err), served.Close())
	case isAbsent(servedErr):
		return nil, fmt.Errorf("%w: %s", ErrNobody, path)
	}
	return nil, fmt.Errorf("%w: %w", errNoAnswer, servedErr)
}

// isAbsent says whether an error of connecting means that there is no socket, or nobody behind it.
func isAbsent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ECONNREFUSED)
}

// isTimeout says whether connecting took too long: somebody is there, or was a moment ago.
func isTimeout(err error) bool {
	var failed net.Error
	return errors.As(err, &failed) && failed.Timeout()
}

// taker takes one process's place.
type taker struct {
	server *Server
	path   string
	from   control

	text     []byte // of tokens, so far
	tokens   int
	listener *net.UnixListener
	file     fileID
	conns    []*net.UnixConn
	began    bool
	rest     <-chan struct{} // Before.Rest
	hasRest  func()          // closes it
}

// greet says who we are, and hears who they are. A process that ends at this moment does not answer.
func (t *taker) greet() error {
	if err := checkPeer(t.from.conn); err != nil {
		return fmt.Errorf("take over: %w", err)
	}
	err := t.from.send(packetHello, hello(), nil)
	var text []byte
	if err == nil || isGone(err) { // a refusal may have come nevertheless
		text, err = t.from.expect(packetHello, stepWait)
	}
	if err == nil {
		err = checkHello(text)
	}
	if isGone(err) || errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%w: %w", errNoAnswer, err)
	}
	if err != nil {
		return fmt.Errorf("take over: %w", err)
	}
	return nil
}

// takeAll takes what comes until go, and then serves it.
func (t *taker) takeAll(to Access, log zerolog.Logger) (*Socket, Before, error) {
	for !t.began {
		if err := t.takeOne(); err != nil {
			t.close()
			return nil, Before{}, fmt.Errorf("take over %s: %w", t.path, err)
		}
	}
	// From here on everything is ours, whether the other one hears of it or not.
	if err := t.from.send(packetStarted, nil, nil); err != nil {
		log.Warn().Err(err).Msg("the process that was taken over is gone")
	}
	for _, conn := range t.conns {
		t.server.Adopt(conn)
	}
	go t.server.Serve(t.listener)
	socket := &Socket{UnixListener: t.listener, path: t.path, file: t.file}
	if file, err := fileOf(t.path); err == nil && file == t.file {
		if err := to.set(t.path); err != nil {
			log.Error().Err(err).Msg("the socket keeps the access that it had")
		}
	}
	log.Info().Int("connections", len(t.conns)).Int("tokens", t.tokens).Msg("took over from a running process")
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		t.takeRest(log)
	}()
	return socket, Before{t.rest, gone}, nil
}

// takeOne takes one packet.
func (t *taker) takeOne() error {
	p, text, file, err := t.from.receive(stepWait)
	if err != nil {
		return err
	}
	if file != nil && p != packetListener && p != packetConnection {
		_ = file.Close()
		return fmt.Errorf("%w: %v with a descriptor", errPacket, p)
	}
	if file == nil && (p == packetListener || p == packetConnection) {
		return fmt.Errorf("%w: %v without its descriptor", errPacket, p)
	}
	switch p {
	case packetTokens:
		if len(t.text)+len(text) > maxTokenBytes {
			return fmt.Errorf("%w: more than %d bytes of tokens", errPacket, maxTokenBytes)
		}
		t.text = append(t.text, text...)
		return nil
	case packetTokensEnd:
		return t.restore()
	case packetListener:
		return t.takeListener(file, text)
	case packetConnection:
		return t.takeConn(file)
	case packetEnd:
		if t.listener == nil || len(text) != 4 || int(binary.BigEndian.Uint32(text)) != len(t.conns) {
			return fmt.Errorf("%w: %x at the end of %d connections", errPacket, text, len(t.conns))
		}
		return t.from.send(packetReady, nil, nil)
	case packetGo:
		if t.listener == nil {
			return fmt.Errorf("%w: go without a listener", errPacket)
		}
		t.began = true
		return nil
	default:
		return fmt.Errorf("%w: %v", errPacket, p)
	}
}

func (t *taker) restore() error {
	tokens, err := decodeTokens(t.text)
	if err != nil {
		return err
	}
	t.text = nil
	t.tokens += len(tokens)
	t.server.Restore(tokens)
	switch {
	case t.listener == nil: // the first ones: the other one still serves, and waits
		return t.from.send(packetReady, nil, nil)
	case t.began: // the last ones
		t.hasRest()
	}
	return nil
}

func (t *taker) takeListener(file *os.File, id []byte) error {
	l, err := asListener(file)
	if err != nil {
		return err
	}
	if t.listener != nil || len(id) != 16 {
		_ = l.Close()
		return fmt.Errorf("%w: listener with %d bytes, or a second one", errPacket, len(id))
	}
	t.listener, t.file = l, fileID{binary.BigEndian.Uint64(id), binary.BigEndian.Uint64(id[8:])}
	return nil
}

// takeConn keeps a connection; once everything has begun it is served at once.
func (t *taker) takeConn(file *os.File) error {
	conn, err := asConn(file)
	if err != nil {
		return err
	}
	switch {
	case t.began:
		t.server.Adopt(conn)
	case len(t.conns) >= mostSessions:
		_ = conn.Close()
		return fmt.Errorf("%w: more than %d connections", errPacket, mostSessions)
	default:
		t.conns = append(t.conns, conn)
	}
	return nil
}

// takeRest takes what comes after go, until the other process has ended.
func (t *taker) takeRest(log zerolog.Logger) {
	defer func() { _ = t.from.conn.Close() }()
	defer t.hasRest()
	ends := time.Now().Add(peerWait + endWait)
	for time.Now().Before(ends) {
		err := t.takeOne()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			continue // a call takes its time
		}
		if err != nil {
			if !isGone(err) && !errors.Is(err, io.EOF) {
				log.Warn().Err(err).Msg("take the rest over")
			}
			return
		}
	}
}

// close gives up: nothing was read. The descriptors are the other one's, too.
func (t *taker) close() {
	_ = t.from.conn.Close()
	for _, conn := range t.conns {
		_ = conn.Close()
	}
	if t.listener != nil {
		_ = t.listener.Close()
	}
}
