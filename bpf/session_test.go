package bpf

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"fivetuple/correlator/flow"
	"fivetuple/examples/lab"
)

// session is one connection over a road: calls one after the other, then the gateway closes first and asks its kernel.
type session struct {
	port  uint16 // of the client
	ipv6  bool
	calls []sizes

	key                   flow.Key
	info                  unix.TCPInfo
	asked                 chan struct{} // closed when the gateway has info, or never will
	clientErr, gatewayErr error
}

// sizes of a request and its answer in bytes: even, so that no segment has one byte, which would look like a keep-alive.
type sizes struct{ request, answer uint32 }

// zeros are what requests and answers are made of.
var zeros [128 << 10]byte

const firstSessionPort = 20001 // below the ephemeral ports

// planSessions returns what a seed says for a try. Each try has ports, and so connections, of its own.
func planSessions(seed uint64, try int) []*session {
	random := rand.New(rand.NewPCG(seed, uint64(try)))
	sessions := make([]*session, liveSessions)
	for i := range sessions {
		s := &session{port: uint16(firstSessionPort + try*liveSessions + i), ipv6: i%2 == 1, asked: make(chan struct{})}
		for range 3 + random.IntN(6) {
			s.calls = append(s.calls, sizes{
				request: 8 + 2*random.Uint32N(2000),
				answer:  2 * uint32(2048*math.Pow(32, random.Float64())), // 4 to 128 KB, half of them below 23
			})
		}
		sessions[i] = s
	}
	return sessions
}

// runClient makes the calls. It closes when the gateway has asked its kernel, so that nothing moves until then.
func (s *session) runClient(ctx context.Context, n *lab.Namespace, server *sessionServer) error {
	var conn net.Conn
	err := n.Do(func() (err error) {
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{Port: int(s.port)}}
		dialer.SetMultipathTCP(false)
		conn, err = dialer.DialContext(ctx, "tcp", server.address(s.ipv6))
		return err
	})
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	for _, c := range s.calls {
		request := binary.BigEndian.AppendUint32(nil, c.request)
		request = binary.BigEndian.AppendUint32(request, c.answer)
		if _, err := conn.Write(append(request, zeros[len(request):c.request]...)); err != nil {
			return err
		}
		if _, err := io.CopyN(io.Discard, conn, int64(c.answer)); err != nil {
			return err
		}
	}
	if n, err := io.Copy(io.Discard, conn); err != nil || n > 0 {
		return fmt.Errorf("%d bytes after the last answer: %w", n, err)
	}
	<-s.asked
	return nil
}

// sessionServer is the gateway's side of all sessions.
type sessionServer struct {
	listeners [2]net.Listener // IPv4, IPv6
	wg        sync.WaitGroup
}

func serveSessions(ctx context.Context, n *lab.Namespace, sessions []*session) (*sessionServer, error) {
	server := new(sessionServer)
	for i, address := range []string{lab.GatewayFrontIPv4, lab.GatewayFrontIPv6} {
		l, err := n.Listen(ctx, "tcp", net.JoinHostPort(address, "0"))
		if err != nil {
			server.close()
			return nil, err
		}
		server.listeners[i] = l
		server.wg.Go(func() { server.accept(ctx, l, sessions) })
	}
	return server, nil
}

func (server *sessionServer) address(ipv6 bool) string {
	if ipv6 {
		return server.listeners[1].Addr().String()
	}
	return server.listeners[0].Addr().String()
}

// close waits for the connections.
func (server *sessionServer) close() {
	for _, l := range server.listeners {
		if l != nil {
			_ = l.Close()
		}
	}
	server.wg.Wait()
}

func (server *sessionServer) accept(ctx context.Context, l net.Listener, sessions []*session) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		s := sessions[conn.RemoteAddr().(*net.TCPAddr).Port-int(sessions[0].port)]
		server.wg.Go(func() { s.gatewayErr = s.runGateway(ctx, conn.(*net.TCPConn)) })
	}
}

// runGateway answers the calls, closes its side, and reads TCP_INFO when the FIN is acknowledged.
func (s *session) runGateway(ctx context.Context, conn *net.TCPConn) error {
	defer close(s.asked)
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	s.key = flow.NewKey(flow.TCP, conn.LocalAddr().(*net.TCPAddr).AddrPort(), conn.RemoteAddr().(*net.TCPAddr).AddrPort())
	for range s.calls {
		var head [8]byte
		if _, err := io.ReadFull(conn, head[:]); err != nil {
			return err
		}
		rest := int64(binary.BigEndian.Uint32(head[:])) - int64(len(head))
		if _, err := io.CopyN(io.Discard, conn, rest); err != nil {
			return err
		}
		if _, err := conn.Write(zeros[:binary.BigEndian.Uint32(head[4:])]); err != nil {
			return err
		}
	}
	if err := conn.CloseWrite(); err != nil {
		return err
	}
	return s.awaitFINAcknowledged(ctx, conn)
}

// awaitFINAcknowledged polls, because the kernel tells nobody.
func (s *session) awaitFINAcknowledged(ctx context.Context, conn *net.TCPConn) error {
	const finWait2 = 5 // net/tcp_states.h
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		info, err := tcpInfo(conn)
		if err != nil {
			return err
		}
		if info.State == finWait2 {
			s.info = *info
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the FIN is not acknowledged: socket in state %d: %w", info.State, ctx.Err())
		case <-tick.C:
		}
	}
}

func tcpInfo(conn *net.TCPConn) (info *unix.TCPInfo, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	var inner error
	err = raw.Control(func(fd uintptr) { info, inner = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) })
	return info, errors.Join(err, inner)
}
