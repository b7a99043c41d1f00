package stack_test

import (
	endian "encoding/binary"
	"errors"
	"net"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"fivetuple/examples/lab"
	"fivetuple/examples/stack"
)

// stutter sends every IPv4 TCP segment with payload that the client sends again, so many times, until the test ends: a client
// that does not let go of its data. A packet socket does not see what it sent itself (packet(7)).
func stutter(t *testing.T, s *stack.Stack, times int) {
	t.Helper()
	var socket *os.File
	err := s.Lab.Client.Do(func() error {
		device, err := net.InterfaceByName(lab.ClientInterface)
		if err != nil {
			return err
		}
		ip := endian.NativeEndian.Uint16([]byte{unix.ETH_P_ALL >> 8, unix.ETH_P_ALL & 0xff})
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return err
		}
		socket = os.NewFile(uintptr(fd), "stutter")
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: ip, Ifindex: device.Index})
	})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- sendAgain(raw, times) }()
	t.Cleanup(func() {
		_ = socket.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// sendAgain returns when the socket is closed.
func sendAgain(raw interface {
	Read(func(fd uintptr) bool) error
}, times int,
) error {
	frame := make([]byte, 2048)
	for {
		var n int
		var from unix.Sockaddr
		var err error
		waited := raw.Read(func(fd uintptr) bool {
			n, from, err = unix.Recvfrom(int(fd), frame, 0)
			if err != nil {
				return !errors.Is(err, unix.EAGAIN)
			}
			if to, ok := from.(*unix.SockaddrLinklayer); ok && to.Pkttype == unix.PACKET_OUTGOING && hasPayload(frame[:n]) {
				for range times {
					_ = unix.Sendto(int(fd), frame[:n], 0, &unix.SockaddrLinklayer{Ifindex: to.Ifindex, Halen: 6, Addr: to.Addr})
				}
			}
			return true
		})
		if waited != nil {
			return nil // the socket is closed
		}
		if err != nil {
			return err
		}
	}
}

// hasPayload says whether an Ethernet frame is a TCP segment over IPv4 with payload.
func hasPayload(frame []byte) bool {
	const ethernet, ipProtocol = 14, 9
	if len(frame) < ethernet+40 || endian.BigEndian.Uint16(frame[12:]) != unix.ETH_P_IP || frame[ethernet+ipProtocol] != unix.IPPROTO_TCP {
		return false
	}
	ip := frame[ethernet:]
	header := int(ip[0]&15) * 4
	total := int(endian.BigEndian.Uint16(ip[2:]))
	return len(ip) >= header+20 && total > header+int(ip[header+12]>>4)*4
}
