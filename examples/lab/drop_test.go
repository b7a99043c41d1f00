//go:build linux

package lab

import (
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// TestDrop: a port that is cut off says nothing, and goes on where it was when the road is whole again.
func TestDrop(t *testing.T) {
	if missing := Missing(); len(missing) > 0 {
		skip(t, strings.Join(missing, "; "))
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	accepted := make(chan net.Conn, 1)
	go func() {
		if c, err := l.Accept(); err == nil {
			accepted <- c
		}
	}()
	client, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server := <-accepted
	defer server.Close()

	end, err := Drop("lo", uint16(l.Addr().(*net.TCPAddr).Port)) //nolint:gosec // a port
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Write([]byte("late")); err != nil {
		t.Error(err)
	}
	in := make([]byte, 8)
	_ = server.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	if n, err := server.Read(in); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read %d bytes: %v", n, err)
	}
	if err := end(); err != nil {
		t.Fatal(err)
	}
	_ = server.SetReadDeadline(time.Now().Add(10 * time.Second))
	if n, err := server.Read(in); err != nil || string(in[:n]) != "late" {
		t.Errorf("read %q: %v", in[:n], err)
	}
}
