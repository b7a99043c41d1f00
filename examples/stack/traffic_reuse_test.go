package stack_test

import (
	"errors"
	"fmt"
	"net"
	"syscall"

	"golang.org/x/sys/unix"

	"fivetuple/examples/stack"
)

// reuseCalls: one connection after another between the same addresses and ports. Where the next one comes at once, nobody
// can have seen the end of the last call on the one before.
func (tr *traffic) reuseCalls(kind string, firstPort int, between func(), atOnce bool) {
	const generations = 3
	for n := range generations {
		if n > 0 {
			between()
		}
		times(15, func(i int) {
			conn, err := tr.dialWith(either(i), firstPort+i, unix.SO_REUSEADDR, 1)
			if err != nil {
				tr.t.Errorf("%s: %v", kind, err)
				return
			}
			c := tr.talk(kind, conn, rules{mayCut: atOnce && n < generations-1})
			if c.get("exchange", "/insight/1", 10*n) {
				c.post("exchange", "/insight/2", 500*n)
			}
			c.reset() // a port whose connection was closed in order is not free yet
		})
	}
}

// dialWith connects from a port of the client's, 0 for any, with an option of the socket (socket(7)).
func (tr *traffic) dialWith(address string, port, option, value int) (conn net.Conn, err error) {
	dialer := net.Dialer{
		LocalAddr: &net.TCPAddr{Port: port},
		Control: func(_, _ string, raw syscall.RawConn) error {
			var inner error
			err := raw.Control(func(fd uintptr) { inner = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, option, value) })
			return errors.Join(err, inner)
		},
	}
	dialer.SetMultipathTCP(false)
	err = tr.s.Lab.Client.Do(func() (err error) {
		conn, err = dialer.DialContext(tr.ctx, "tcp", net.JoinHostPort(address, fmt.Sprint(stack.Port)))
		return err
	})
	return conn, err
}
