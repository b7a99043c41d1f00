//go:build linux

package lab

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// newLab makes a lab that the test closes, and skips where none can be made.
func newLab(t *testing.T, options Options) *Lab {
	t.Helper()
	requireLab(t)
	l, err := New(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func requireLab(t *testing.T) {
	t.Helper()
	if missing := missingCapabilities(); len(missing) > 0 {
		skip(t, strings.Join(missing, "; "))
	}
}

// deadline is a context for whatever the test waits for.
func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// ends is what the sockets of one connection say of it, at the client.
type ends struct {
	key  FlowKey // seen from the gateway
	info unix.TCPInfo
}

// transfer sends request bytes from the client to the gateway and then answer bytes back, rounds times on one
// connection, and closes it.
func transfer(t *testing.T, l *Lab, address string, request, answer, rounds int) ends {
	t.Helper()
	ctx := deadline(t)
	listener, err := l.Gateway.Listen(ctx, "tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	served := make(chan error, 1)
	go func() { served <- serveOne(listener, request, answer, rounds) }()

	conn, err := l.Client.DialContext(ctx, "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for range rounds {
		if _, err := conn.Write(make([]byte, request)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, conn, int64(answer)); err != nil {
			t.Fatal(err)
		}
	}
	tcp := conn.(*net.TCPConn)
	e := ends{
		key:  FlowKey{Local: tcp.RemoteAddr().(*net.TCPAddr).AddrPort(), Remote: tcp.LocalAddr().(*net.TCPAddr).AddrPort()},
		info: tcpInfo(t, tcp),
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-served; err != nil {
		t.Fatal(err)
	}
	return e
}

// serveOne answers on one connection until the client closes it.
func serveOne(listener net.Listener, request, answer, rounds int) error {
	conn, err := listener.Accept()
	if err != nil {
		return err
	}
	defer conn.Close()
	for range rounds {
		if _, err := io.CopyN(io.Discard, conn, int64(request)); err != nil {
			return err
		}
		if _, err := conn.Write(make([]byte, answer)); err != nil {
			return err
		}
	}
	_, err = io.Copy(io.Discard, conn)
	return err
}

func tcpInfo(t *testing.T, conn *net.TCPConn) unix.TCPInfo {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var info *unix.TCPInfo
	var inner error
	err = raw.Control(func(fd uintptr) { info, inner = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) })
	if err != nil || inner != nil {
		t.Fatal(err, inner)
	}
	return *info
}

// bothFINs says whether both sides of a capture's only flow have closed.
func bothFINs(packets []Packet) bool {
	for _, f := range Flows(packets, nil) {
		if f.RX.Flags&f.TX.Flags&FlagFIN != 0 {
			return true
		}
	}
	return false
}
