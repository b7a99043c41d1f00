// Package flow is what the kernel and user space agree on: the 5-tuple that names a connection, and the record that is
// kept of it. It is the Go twin of bpf/record.h and knows neither how records are made nor how they are read.
package flow

import (
	"fmt"
	"net/netip"
)

// IP protocol numbers of the records.
const (
	TCP = 6
	UDP = 17
)

// Key is a 5-tuple, seen from the host that keeps the record: local is its own address. IPv4 addresses are v4-mapped
// (RFC 4291, 2.5.5.2), so that one socket's connections have one form. It is comparable, holds no pointer and has the
// layout of the tables' keys: it is a map key here and in the kernel without a conversion.
type Key struct {
	Local      [16]byte
	Remote     [16]byte
	LocalPort  uint16
	RemotePort uint16
	Proto      uint8
	Pad        [3]uint8 // always 0
}

// NewKey returns the key of a protocol's flow between two addresses; zones are left out.
func NewKey(proto uint8, local, remote netip.AddrPort) Key {
	return Key{
		Local: local.Addr().As16(), Remote: remote.Addr().As16(),
		LocalPort: local.Port(), RemotePort: remote.Port(),
		Proto: proto,
	}
}

// LocalAddr returns the local address, IPv4 as IPv4.
func (k Key) LocalAddr() netip.AddrPort { return addrPort(k.Local, k.LocalPort) }

// RemoteAddr returns the remote address, IPv4 as IPv4.
func (k Key) RemoteAddr() netip.AddrPort { return addrPort(k.Remote, k.RemotePort) }

func addrPort(addr [16]byte, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(addr).Unmap(), port)
}

// String returns the flow as text, for logs: "tcp 10.0.0.1:443 <- 10.0.0.2:50000".
func (k Key) String() string {
	proto := fmt.Sprintf("proto-%d", k.Proto)
	switch k.Proto {
	case TCP:
		proto = "tcp"
	case UDP:
		proto = "udp"
	}
	return fmt.Sprintf("%s %v <- %v", proto, k.LocalAddr(), k.RemoteAddr())
}
