//go:build linux

package redistest

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"

	"fivetuple/examples/lab"
)

// Servers listen below the ports that the kernel gives to clients (ip_local_port_range begins at 32768), so that none of them
// takes the port of a server that is down for a moment.
const minPort, maxPort = 10240, 32767

// freePort returns a port on which nobody listens.
func freePort(t testing.TB, in *lab.Namespace, host string) int {
	t.Helper()
	var err error
	for range 100 {
		port := minPort + rand.IntN(maxPort-minPort+1) //nolint:gosec // no secret
		address := net.JoinHostPort(host, strconv.Itoa(port))
		var l net.Listener
		if in != nil {
			l, err = in.Listen(t.Context(), "tcp", address)
		} else {
			l, err = new(net.ListenConfig).Listen(t.Context(), "tcp", address)
		}
		if err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatalf("find a free port: %v", err)
	return 0
}
