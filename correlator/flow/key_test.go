package flow

import (
	"net/netip"
	"testing"
)

func addrPortOf(addr []byte, port uint16) (netip.AddrPort, bool) {
	a, ok := netip.AddrFromSlice(addr)
	return netip.AddrPortFrom(a.Unmap(), port), ok
}

func FuzzKey(f *testing.F) {
	f.Add([]byte{10, 0, 0, 1}, []byte{10, 0, 0, 2}, uint16(80), uint16(50000), uint8(TCP))
	f.Add(netip.IPv6Unspecified().AsSlice(), netip.IPv6LinkLocalAllNodes().AsSlice(), uint16(0), uint16(65535), uint8(UDP))
	f.Fuzz(func(t *testing.T, local, remote []byte, localPort, remotePort uint16, proto uint8) {
		l, ok := addrPortOf(local, localPort)
		r, also := addrPortOf(remote, remotePort)
		if !ok || !also {
			return
		}
		k := NewKey(proto, l, r)
		if k.LocalAddr() != l || k.RemoteAddr() != r || k.Proto != proto || k.Pad != [3]uint8{} {
			t.Errorf("%v -> %v became %v", l, r, k)
		}
		if again := NewKey(proto, k.LocalAddr(), k.RemoteAddr()); again != k {
			t.Errorf("%v became %v", k, again)
		}
		if swapped := NewKey(proto, r, l); (swapped == k) != (l == r) || CommunityID(swapped) != CommunityID(k) {
			t.Errorf("%v and %v: other direction", k, swapped)
		}
	})
}

func TestKeyForms(t *testing.T) {
	plain := NewKey(TCP, netip.MustParseAddrPort("10.0.0.1:80"), netip.MustParseAddrPort("10.0.0.2:1"))
	mapped := NewKey(TCP, netip.MustParseAddrPort("[::ffff:10.0.0.1]:80"), netip.MustParseAddrPort("[::ffff:10.0.0.2]:1"))
	if plain != mapped {
		t.Errorf("IPv4 has two forms: %v, %v", plain, mapped)
	}
	zoned := NewKey(TCP, netip.MustParseAddrPort("[fe80::1%eth0]:80"), netip.MustParseAddrPort("[fe80::2%eth0]:1"))
	bare := NewKey(TCP, netip.MustParseAddrPort("[fe80::1]:80"), netip.MustParseAddrPort("[fe80::2]:1"))
	if zoned != bare {
		t.Errorf("a zone makes another key: %v, %v", zoned, bare)
	}
}

func TestKeyString(t *testing.T) {
	local, remote := netip.MustParseAddrPort("10.0.0.1:443"), netip.MustParseAddrPort("[2001:db8::2]:50000")
	for proto, want := range map[uint8]string{
		TCP: "tcp 10.0.0.1:443 <- [2001:db8::2]:50000",
		UDP: "udp 10.0.0.1:443 <- [2001:db8::2]:50000",
		132: "proto-132 10.0.0.1:443 <- [2001:db8::2]:50000",
	} {
		if got := NewKey(proto, local, remote).String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
