package gateway

import (
	"errors"
	"net"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// quiet says whether an idle connection is open and has nothing to read. nginx learns of either from its
// event loop and closes the connection at once; here it is looked at when it is taken. A connection
// without a descriptor (net.Pipe) counts as quiet.
func quiet(conn net.Conn) bool {
	sys, ok := conn.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := sys.SyscallConn()
	if err != nil {
		return false
	}
	idle := false
	err = raw.Control(func(fd uintptr) {
		var one [1]byte
		_, _, peekErr := unix.Recvfrom(int(fd), one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		idle = errors.Is(peekErr, unix.EAGAIN)
	})
	return err == nil && idle
}

// tcpInfoVariable answers nginx's tcpinfo_* variables from TCP_INFO: times in microseconds, the window in
// segments. They are unset where the connection is no TCP socket.
func tcpInfoVariable(conn net.Conn, name string) (string, bool) {
	sys, ok := conn.(syscall.Conn)
	if !ok {
		return "", false
	}
	raw, err := sys.SyscallConn()
	if err != nil {
		return "", false
	}
	var info *unix.TCPInfo
	var infoErr error
	err = raw.Control(func(fd uintptr) {
		info, infoErr = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	})
	if err != nil || infoErr != nil {
		return "", false
	}
	switch name {
	case "tcpinfo_rtt":
		return strconv.FormatUint(uint64(info.Rtt), 10), true
	case "tcpinfo_rttvar":
		return strconv.FormatUint(uint64(info.Rttvar), 10), true
	case "tcpinfo_snd_cwnd":
		return strconv.FormatUint(uint64(info.Snd_cwnd), 10), true
	default:
		return "", false
	}
}
