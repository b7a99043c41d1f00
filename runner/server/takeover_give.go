package server

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"fivetuple/conf/safefile"
)

// Control lets another process take a running one's place. See takeover.go for how.
type Control struct {
	server *Server
	served *Socket
	own    *Socket
	log    zerolog.Logger
	given  chan struct{}
	taken  chan struct{}
	ended  chan struct{}
	last   <-chan struct{}
}

// OpenControl makes the socket beside the one that is served, and answers there. The served socket is ours, so that one
// that lies there already is nobody's any more. LAST is closed when this process has told others all that it has to: a successor learns
// of that, or of its end.
func OpenControl(s *Server, served *Socket, last <-chan struct{}, log zerolog.Logger) (*Control, error) {
	path := served.path + controlSuffix
	if err := clearControl(path); err != nil {
		return nil, err
	}
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		return nil, fmt.Errorf("listen for a successor: %w", err)
	}
	l.SetUnlinkOnClose(false)
	if err := safefile.SetSocket(path, controlMode, -1); err != nil {
		return nil, errors.Join(fmt.Errorf("set mode of control socket: %w", err), l.Close(), os.Remove(path))
	}
	own, err := NewSocket(l, path)
	if err != nil {
		return nil, err
	}
	c := &Control{
		server: s, served: served, own: own, log: log, last: last,
		given: make(chan struct{}), taken: make(chan struct{}), ended: make(chan struct{}),
	}
	go c.run()
	return c, nil
}

// clearControl removes what lies where the control socket is to be: a socket, whoever made it, or another user's file. The socket that
// is served is ours, so nobody else has anything to do there.
func clearControl(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	isForeign := ok && int(stat.Uid) != os.Geteuid()
	if info.Mode().Type() != fs.ModeSocket && !isForeign {
		return fmt.Errorf("%s is there and is no socket: remove it", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		if isForeign {
			return fmt.Errorf("user %d has taken the name of the control socket: %w: remove it, or move the socket to a directory that "+
				"only this process's user can write", stat.Uid, err)
		}
		return err
	}
	return nil
}

// Given is closed when another process serves in this one's place; calls may still be under way here.
func (c *Control) Given() <-chan struct{} { return c.given }

// Taken is closed when another process has taken over, and this one has nothing left to do.
func (c *Control) Taken() <-chan struct{} { return c.taken }

// Close waits for a take-over that is under way, and lets none begin any more. It returns whether another process has taken
// over; then the served socket's file is that one's.
func (c *Control) Close() (taken bool, err error) {
	_ = c.own.SetDeadline(time.Unix(1, 0)) // wakes Accept; a closed one was taken over
	<-c.ended
	select {
	case <-c.taken:
		return true, nil
	default:
		return false, errors.Join(c.own.Remove(), c.own.Close())
	}
}

// run answers one process after the other until one has taken over.
func (c *Control) run() {
	defer close(c.ended)
	for {
		conn, err := c.own.AcceptUnix()
		if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			c.log.Warn().Err(err).Msg("cannot accept a successor")
			time.Sleep(acceptPause)
			continue
		}
		g := &giver{Control: c, to: control{conn}, sent: make(map[uint32]struct{})}
		err = g.giveAll()
		if err == nil {
			close(c.given)
			if err := errors.Join(c.own.Remove(), c.own.Close()); err != nil { // the successor makes its own when it has all
				c.log.Warn().Err(err).Msg("close control socket")
			}
			g.giveRest()
			go func() {
				<-c.last
				_ = conn.Close()
			}()
			close(c.taken)
			return
		}
		_ = conn.Close()
		c.log.Warn().Err(err).Msg("a take-over failed: serving on")
	}
}

// giver is one attempt.
type giver struct {
	*Control
	to   control
	sent map[uint32]struct{} // tokens
	left int                 // tokens that did not fit

	mu    sync.Mutex // of sending: connections come from their sessions
	given uint32     // connections
	err   error      // of the first that could not be sent
}

// giveAll gives everything away. After an error the server serves as before.
func (g *giver) giveAll() (err error) {
	if err := g.greet(); err != nil {
		return err
	}
	if err := g.sendTokens(); err != nil {
		return err
	}
	if _, err := g.to.expect(packetReady, restoreWait); err != nil {
		return err
	}
	started := time.Now()
	committed := false
	defer func() {
		if !committed {
			_ = g.to.conn.Close() // so that the other one cannot get a go, before we read again
			g.server.Resume()
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), freezeWait)
	defer cancel()
	if err := g.sendListener(); err != nil {
		return err
	}
	late := g.server.HandOver(ctx, g.sendConn)
	if err := g.sendTokens(); err != nil {
		return err
	}
	if err := g.sendEnd(); err != nil {
		return err
	}
	if _, err := g.to.expect(packetReady, stepWait); err != nil {
		return err
	}
	if committed, err = g.commit(); err != nil {
		return err
	}
	g.log.Info().Uint32("connections", g.given).Int("tokens", len(g.sent)).Int("tokens_left_out", g.left).
		Bool("calls_under_way", late != nil).Dur("pause_ms", time.Since(started)).Msg("another process has taken over")
	return nil
}

// greet checks who is there.
func (g *giver) greet() error {
	if err := checkPeer(g.to.conn); err != nil {
		return errors.Join(err, g.to.send(packetRefusal, []byte(err.Error()), nil))
	}
	text, err := g.to.expect(packetHello, stepWait)
	if err != nil {
		return err
	}
	if err := checkHello(text); err != nil {
		return errors.Join(err, g.to.send(packetRefusal, []byte(err.Error()), nil))
	}
	return g.to.send(packetHello, hello(), nil)
}

// sendTokens sends the tokens that have not been sent.
func (g *giver) sendTokens() error {
	var tokens []Token
	for _, t := range g.server.Tokens() {
		if _, ok := g.sent[t.Number]; !ok {
			tokens = append(tokens, t)
			g.sent[t.Number] = struct{}{}
		}
	}
	text, left := encodeTokens(tokens)
	g.left += left
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(text) > 0 {
		n := min(len(text), maxPacket-1)
		if err := g.to.send(packetTokens, text[:n], nil); err != nil {
			return err
		}
		text = text[n:]
	}
	return g.to.send(packetTokensEnd, nil, nil)
}

// sendListener sends the listener, and which file is its own.
func (g *giver) sendListener() error {
	id := binary.BigEndian.AppendUint64(nil, g.served.file.device)
	return g.to.send(packetListener, binary.BigEndian.AppendUint64(id, g.served.file.inode), g.served)
}

// sendConn sends a connection. An error is found at the end.
func (g *giver) sendConn(conn *net.UnixConn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err != nil {
		return
	}
	if g.err = g.to.send(packetConnection, nil, conn); g.err == nil {
		g.given++
	}
}

func (g *giver) sendEnd() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err != nil {
		return g.err
	}
	return g.to.send(packetEnd, binary.BigEndian.AppendUint32(nil, g.given), nil)
}

// commit gives the right to read away. Once it has, only the other one's end gives it back.
func (g *giver) commit() (committed bool, err error) {
	g.mu.Lock() // go comes behind every connection that was given
	err = g.err
	if err == nil {
		err = g.to.send(packetGo, nil, nil)
	}
	g.mu.Unlock()
	if err != nil {
		return false, err
	}
	_, err = g.to.expect(packetStarted, stepWait)
	if isGone(err) {
		return false, err
	}
	if err != nil {
		g.log.Warn().Err(err).Msg("the process that has taken over is silent")
	}
	return true, nil
}

// giveRest answers the calls that were under way, sends their connections after the others, and closes them all.
func (g *giver) giveRest() {
	g.server.Release()
	ctx, cancel := context.WithTimeout(context.Background(), peerWait)
	defer cancel()
	if err := g.server.HandOver(ctx, g.sendConn); err != nil {
		gone, cancel := context.WithCancel(context.Background())
		cancel()
		g.log.Error().Uint64("calls_lost", g.server.Close(gone)).Msg("calls took too long")
	}
	g.mu.Lock()
	err := g.err
	g.mu.Unlock()
	if err := errors.Join(err, g.sendTokens()); err != nil && !errors.Is(err, unix.EPIPE) {
		g.log.Error().Err(err).Msg("give the rest away")
	}
	g.server.Release()
	_ = g.served.Close()
}
