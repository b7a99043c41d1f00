//go:build linux

package lab

import (
	"context"
	"fmt"
	"net"
	"net/netip"
)

// Listen is net.Listen inside the namespace; accepted connections are inside too, whoever calls Accept. addr
// has a literal address or none, and a number as port. Multipath TCP is off: its option would be in the SYN.
func (n *Namespace) Listen(ctx context.Context, network, addr string) (net.Listener, error) {
	if err := checkLiteral(addr); err != nil {
		return nil, err
	}
	var listener net.Listener
	err := n.Do(func() (err error) {
		var config net.ListenConfig
		config.SetMultipathTCP(false)
		listener, err = config.Listen(ctx, network, addr)
		return err
	})
	return listener, err
}

// DialContext is net.Dial inside the namespace, to a literal address. Where the connection is used does not
// matter: a socket stays in the namespace it was made in, and the runtime's poller does not care.
func (n *Namespace) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	if err := checkLiteral(addr); err != nil {
		return nil, err
	}
	var conn net.Conn
	err := n.Do(func() (err error) {
		var dialer net.Dialer
		dialer.SetMultipathTCP(false)
		conn, err = dialer.DialContext(ctx, network, addr)
		return err
	})
	return conn, err
}

// checkLiteral refuses names: net would look them up, and then dial the two families, on other goroutines,
// which are not in the namespace.
func checkLiteral(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("read address: %w", err)
	}
	if host == "" {
		return nil
	}
	if _, err := netip.ParseAddr(host); err != nil {
		return fmt.Errorf("read address: only literal ones work in a namespace: %w", err)
	}
	return nil
}
