package fleet

import (
	"errors"
	"fmt"
	"net/netip"
)

// exempt are the addresses that no other gateway's word counts about.
type exempt struct {
	trusted []netip.Prefix
	local   map[netip.Addr]struct{} // this host's
}

// newExempt reads the setting fleet.trusted: addresses and prefixes.
func newExempt(trusted []string) (e exempt, err error) {
	var errs []error
	for i, text := range trusted {
		p, err := parsePrefix(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("trusted[%d]: %w", i, err))
		}
		e.trusted = append(e.trusted, p)
	}
	return e, errors.Join(errs...)
}

// has says whether an address is one of them, or means another host on each host: loopback, link-local, multicast.
func (e *exempt) has(a netip.Addr) bool {
	if !a.IsGlobalUnicast() { // private ones are
		return true
	}
	if _, ok := e.local[a]; ok {
		return true
	}
	for _, p := range e.trusted {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// parsePrefix reads an address or a prefix; one of IPv4 that is written v4-mapped is one of IPv4.
func parsePrefix(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		return a.Unmap().Prefix(a.Unmap().BitLen())
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, fmt.Errorf("%q is not an address or a prefix, like 10.0.0.1 or 2001:db8::/32", text)
	}
	if p.Addr().Is4In6() && p.Bits() >= mappedBits {
		return p.Addr().Unmap().Prefix(p.Bits() - mappedBits)
	}
	return p.Masked(), nil
}

// mappedBits are those before the IPv4 address in one that is v4-mapped.
const mappedBits = 96
