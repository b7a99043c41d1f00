package server

import (
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxRights is how many descriptors are taken from one message; more make it an error.
const maxRights = 4

// syscallConn is something with a descriptor. os.File.Fd and UnixConn.File are not used: what they do to a descriptor's
// flags would reach everybody who shares it.
type syscallConn interface {
	SyscallConn() (syscall.RawConn, error)
}

// withRights calls a function with the control message that passes a descriptor; with none if there is none.
func withRights(descriptor syscallConn, send func(rights []byte) error) error {
	if descriptor == nil {
		return send(nil)
	}
	raw, err := descriptor.SyscallConn()
	if err != nil {
		return err
	}
	var sendErr error
	err = raw.Control(func(fd uintptr) { sendErr = send(unix.UnixRights(int(fd))) })
	if err != nil {
		return err
	}
	return sendErr
}

// parseRights returns the descriptors in a control message. They are the caller's to close, also after an error.
func parseRights(rights []byte) (files []*os.File, err error) {
	if len(rights) == 0 {
		return nil, nil
	}
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil {
		return nil, fmt.Errorf("parse control message: %w", err)
	}
	for i := range messages {
		descriptors, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			continue // of another kind
		}
		for _, fd := range descriptors {
			files = append(files, os.NewFile(uintptr(fd), "passed"))
		}
	}
	return files, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}

// asConn makes a file that was passed a connection, and closes it.
func asConn(f *os.File) (*net.UnixConn, error) {
	conn, err := net.FileConn(f)
	_ = f.Close()
	if err != nil {
		return nil, fmt.Errorf("take connection: %w", err)
	}
	c, ok := conn.(*net.UnixConn)
	if !ok {
		_ = conn.Close()
		return nil, fmt.Errorf("take connection: it is one of %s", conn.LocalAddr().Network())
	}
	return c, nil
}

// asListener makes a file that was passed a listener, and closes it.
func asListener(f *os.File) (*net.UnixListener, error) {
	l, err := net.FileListener(f)
	_ = f.Close()
	if err != nil {
		return nil, fmt.Errorf("take listener: %w", err)
	}
	u, ok := l.(*net.UnixListener)
	if !ok {
		_ = l.Close()
		return nil, fmt.Errorf("take listener: it is one of %s", l.Addr().Network())
	}
	return u, nil
}
