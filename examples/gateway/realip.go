package gateway

import (
	"net/netip"
	"strings"
)

// realIP returns what nginx's real_ip module makes of a request with APISIX's defaults: the address in the
// first X-Real-IP of a peer at 127.0.0.1. The port is 0 where the header names none. It is false when
// the peer stays who it is.
func realIP(peer netip.AddrPort, headers headerList) (netip.AddrPort, bool) {
	if peer.Addr().Unmap() != netip.AddrFrom4([4]byte{127, 0, 0, 1}) {
		return peer, false
	}
	value, ok := headers.get("X-Real-IP")
	if !ok {
		return peer, false
	}
	value = strings.TrimRight(value, " ,")
	if at := strings.LastIndexAny(value, " ,"); at >= 0 {
		value = value[at+1:]
	}
	if addr, err := netip.ParseAddr(value); err == nil && addr.Zone() == "" {
		return netip.AddrPortFrom(addr, 0), true
	}
	if addr, err := netip.ParseAddrPort(value); err == nil && addr.Addr().Zone() == "" {
		return addr, true
	}
	return peer, false
}
