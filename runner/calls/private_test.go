package calls

import (
	"strings"
	"testing"

	"fivetuple/correlator"
)

func TestAddressesAreCut(t *testing.T) {
	for _, c := range []struct {
		ipv4, ipv6 int
		record     correlator.CallRecord
		peer       string
		whole      bool
	}{
		{32, 128, full(), "192.0.2.77", true},
		{24, 128, full(), "192.0.2.0/24", false},
		{31, 128, full(), "192.0.2.76/31", false},
		{0, 128, full(), "0.0.0.0/0", false},
		{32, 0, full(), "192.0.2.77", true},
		{24, 128, unmatched(), "2001:db8::77", true},
		{32, 48, unmatched(), "2001:db8::/48", false},
		{32, 0, unmatched(), "::/0", false},
	} {
		o := options(t)
		o.IPv4Prefix, o.IPv6Prefix = c.ipv4, c.ipv6
		line := written(t, o, c.record)[0]
		if !strings.Contains(line, `"network.peer.address":"`+c.peer+`"`) {
			t.Errorf("%d, %d: want the peer %s: %s", c.ipv4, c.ipv6, c.peer, line)
		}
		for _, field := range []string{`"network.peer.port"`, `"network.local.port"`, `"community_id"`} {
			if strings.Contains(line, field) != c.whole {
				t.Errorf("%d, %d: %s: %s", c.ipv4, c.ipv6, field, line)
			}
		}
		for _, address := range []string{"192.0.2.77", "198.51.100.9", "2001:db8::77", "2001:db8:1::9"} {
			if !c.whole && strings.Contains(line, address) {
				t.Errorf("%d, %d: %s is in %s", c.ipv4, c.ipv6, address, line)
			}
		}
	}
}

// TestPathIsOff: a record that has a path all the same does not bring it into the log.
func TestPathIsOff(t *testing.T) {
	if line := written(t, options(t), full())[0]; strings.Contains(line, "/orders/17") || strings.Contains(line, "url.path") {
		t.Error(line)
	}
}

func TestPath(t *testing.T) {
	const path = "/orders/17?token=secret"
	for setting, want := range map[string]string{
		PathOff: "", "": "", "anything": "",
		PathHash: "80961f5846c658fa",
		PathFull: "/orders/17",
	} {
		if got := Path(setting, path); got != want {
			t.Errorf("Path(%q) = %q, want %q", setting, got, want)
		}
	}
	if Path(PathHash, "/orders/17") != Path(PathHash, path) || Path(PathHash, "/orders/18") == Path(PathHash, path) {
		t.Error("the hash tells the query, or does not tell paths")
	}
	if n := len(Path(PathFull, "/"+strings.Repeat("x", 5000))); n != maxPath {
		t.Errorf("a long path has %d bytes", n)
	}
}

func TestHashedPathIsWritten(t *testing.T) {
	r := full()
	r.Path = Path(PathHash, r.Path)
	o := options(t)
	o.Path = PathHash
	if line := written(t, o, r)[0]; !strings.Contains(line, `"url.path_hash":"`+r.Path+`"`) || strings.Contains(line, "/orders") {
		t.Error(line)
	}
}
