package bpf

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// listenerPrefix begins a pattern that names no interface but a TCP port: it stands for the interfaces that carry the
// addresses on which a socket listens on that port.
const listenerPrefix = "listener:"

// listenerPort returns the port of such a pattern; ok is false for every other pattern.
func listenerPort(pattern string) (port uint16, ok bool, err error) {
	number, ok := strings.CutPrefix(pattern, listenerPrefix)
	if !ok {
		return 0, false, nil
	}
	n, err := strconv.ParseUint(number, 10, 16)
	if err != nil || n == 0 {
		return 0, true, fmt.Errorf("%q: %q is not a TCP port, 1..65535", pattern, number)
	}
	return uint16(n), true, nil
}

// splitPatterns returns the names and shell patterns of names, and the ports of the listeners, of patterns that were validated.
func splitPatterns(patterns []string) (names []string, ports []uint16) {
	for _, p := range patterns {
		if port, ok, _ := listenerPort(p); ok {
			ports = append(ports, port)
		} else {
			names = append(names, p)
		}
	}
	return names, ports
}

// carryListeners returns those of the interfaces that carry an address on which a socket listens on one of the ports.
func carryListeners(links []netlink.Link, ports []uint16) ([]netlink.Link, error) {
	var bound []netip.Addr
	for _, port := range ports {
		addresses, err := listeningOn(port)
		if err != nil {
			return nil, err
		}
		bound = append(bound, addresses...)
	}
	if len(bound) == 0 {
		return nil, nil
	}
	indexes, err := carriers(bound)
	if err != nil {
		return nil, err
	}
	var carrying []netlink.Link
	for _, l := range links {
		if isEthernet(l) && slices.Contains(indexes, l.Attrs().Index) {
			carrying = append(carrying, l)
		}
	}
	return carrying, nil
}

// carriers returns the indexes of the interfaces that carry one of the addresses. An unspecified address stands for all of
// its family, :: for IPv4, too.
func carriers(bound []netip.Addr) ([]int, error) {
	carried, err := dump(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	var indexes []int
	for _, c := range carried {
		address, ok := netip.AddrFromSlice(c.IP)
		address = address.Unmap()
		fits := func(b netip.Addr) bool {
			return b == address || b == netip.IPv6Unspecified() || b == netip.IPv4Unspecified() && address.Is4()
		}
		if ok && slices.ContainsFunc(bound, fits) && !slices.Contains(indexes, c.LinkIndex) {
			indexes = append(indexes, c.LinkIndex)
		}
	}
	return indexes, nil
}

// tcpListen is TCP_LISTEN of the kernel's net/tcp_states.h.
const tcpListen = 10

// diagRequest is struct inet_diag_req_v2 of linux/inet_diag.h.
type diagRequest struct{ family uint8 }

// Len implements nl.NetlinkRequestData.
func (diagRequest) Len() int { return 56 }

// Serialize implements nl.NetlinkRequestData: all sockets of the family that listen.
func (r diagRequest) Serialize() []byte {
	b := make([]byte, r.Len())
	b[0], b[1] = r.family, unix.IPPROTO_TCP
	binary.NativeEndian.PutUint32(b[4:], 1<<tcpListen)
	return b
}

// listeningOn returns the addresses on which sockets of this network namespace listen on a TCP port.
func listeningOn(port uint16) (bound []netip.Addr, err error) {
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		sockets, err := dump(func() ([][]byte, error) {
			r := nl.NewNetlinkRequest(nl.SOCK_DIAG_BY_FAMILY, unix.NLM_F_DUMP)
			r.AddData(diagRequest{family})
			return r.Execute(unix.NETLINK_INET_DIAG, 0)
		})
		if err != nil {
			return nil, fmt.Errorf("list listening sockets: %w", err)
		}
		for _, s := range sockets {
			// struct inet_diag_msg: family, state, timer, retrans; then the ports and addresses of inet_diag_sockid.
			if len(s) < 24 || binary.BigEndian.Uint16(s[4:]) != port {
				continue
			}
			address := netip.AddrFrom16([16]byte(s[8:24])).Unmap()
			if s[0] == unix.AF_INET {
				address = netip.AddrFrom4([4]byte(s[8:12]))
			}
			bound = append(bound, address)
		}
	}
	return bound, nil
}
