package flow

import (
	"net/netip"
	"testing"
)

// TestCommunityID takes the TCP, UDP and SCTP flows of the specification's own baseline
// (https://github.com/corelight/community-id-spec, baseline/baseline_deflt.json).
func TestCommunityID(t *testing.T) {
	for _, c := range []struct {
		proto uint8
		a, b  string
		want  string
	}{
		{TCP, "128.232.110.120:34855", "66.35.250.204:80", "1:LQU9qZlK+B5F3KDmev6m5PMibrg="},
		{
			TCP, "[2001:470:e5bf:dead:4957:2174:e82c:4887]:63943", "[2607:f8b0:400c:c03::1a]:25",
			"1:/qFaeAR+gFe1KYjMzVDsMv+wgU4=",
		},
		{UDP, "192.168.1.52:54585", "8.8.8.8:53", "1:d/FP5EW3wiY1vCndhwleRRKHowQ="},
		{132, "192.168.170.8:7", "192.168.170.56:7", "1:MP2EtRCAUIZvTw6MxJHLV7N7JDs="},
	} {
		a, b := netip.MustParseAddrPort(c.a), netip.MustParseAddrPort(c.b)
		for _, k := range []Key{NewKey(c.proto, a, b), NewKey(c.proto, b, a)} {
			if got := CommunityID(k); got != c.want {
				t.Errorf("%v: got %s, want %s", k, got, c.want)
			}
		}
	}
}

func TestCommunityIDOrdersPortsOfOneAddress(t *testing.T) {
	a, b := netip.MustParseAddrPort("127.0.0.1:80"), netip.MustParseAddrPort("127.0.0.1:50000")
	if one, other := CommunityID(NewKey(TCP, a, b)), CommunityID(NewKey(TCP, b, a)); one != other {
		t.Errorf("%s and %s", one, other)
	}
}
