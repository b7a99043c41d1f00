package flow

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// Prefixes are sets of addresses, IPv4 as IPv4.
type Prefixes []netip.Prefix

// maxPrefixes is how many a setting may have.
const maxPrefixes = 1024

// ParsePrefixes reads addresses and prefixes. Its errors name the setting, like trusted[0].
func ParsePrefixes(setting string, texts []string) (all Prefixes, err error) {
	var errs []error
	for i, text := range texts {
		p, err := parsePrefix(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s[%d]: %q is not an address or a prefix, like 10.0.0.1 or 2001:db8::/32", setting, i, text))
		}
		all = append(all, p)
	}
	return all, errors.Join(errs...)
}

// CheckPrefixes says what is wrong with a setting: more than 1,024, or what ParsePrefixes says.
func CheckPrefixes(setting string, texts []string) error {
	if len(texts) > maxPrefixes {
		return fmt.Errorf("%s: %d given, range 0..%d", setting, len(texts), maxPrefixes)
	}
	_, err := ParsePrefixes(setting, texts)
	return err
}

// mappedBits are those before the IPv4 address in one that is v4-mapped.
const mappedBits = 96

// parsePrefix reads an address or a prefix; one of IPv4 that is written v4-mapped is one of IPv4.
func parsePrefix(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		return a.Unmap().Prefix(a.Unmap().BitLen())
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, err
	}
	if p.Addr().Is4In6() && p.Bits() >= mappedBits {
		return p.Addr().Unmap().Prefix(p.Bits() - mappedBits)
	}
	return p.Masked(), nil
}

// Has says whether an address is in one of them. One that is v4-mapped is one of IPv4.
func (all Prefixes) Has(a netip.Addr) bool {
	a = a.Unmap()
	return slices.ContainsFunc(all, func(p netip.Prefix) bool { return p.Contains(a) })
}
