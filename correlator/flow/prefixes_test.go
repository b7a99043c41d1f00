package flow

import (
	"net/netip"
	"testing"
)

// TestPrefixes: addresses and prefixes, of both families and in any spelling, mean what they say.
func TestPrefixes(t *testing.T) {
	all, err := ParsePrefixes("trusted", []string{"10.1.2.3", "192.0.2.77/24", "::ffff:198.51.100.0/120", "::ffff:203.0.113.7", "2001:db8::/32"})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{
		"10.1.2.3": true, "::ffff:10.1.2.3": true, "10.1.2.4": false, "192.0.2.1": true, "192.0.3.1": false, "198.51.100.9": true, "198.51.101.9": false,
		"203.0.113.7": true, "203.0.113.8": false, "2001:db8::7": true, "2001:db9::7": false,
	} {
		if got := all.Has(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	if Prefixes(nil).Has(netip.MustParseAddr("10.1.2.3")) {
		t.Error("none has an address")
	}
	for _, text := range []string{"", "localhost", "10.0.0.0/33", "fe80::1%lo"} {
		want := `trusted[1]: "` + text + `" is not an address or a prefix, like 10.0.0.1 or 2001:db8::/32`
		if err := CheckPrefixes("trusted", []string{"10.0.0.1", text}); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if err := CheckPrefixes("trusted", make([]string, 1025)); err == nil || err.Error() != "trusted: 1025 given, range 0..1024" {
		t.Error(err)
	}
}
