package watch

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Options are the watcher's settings, the section `watch` of fivetuple.yaml.
type Options struct {
	// Enabled switches the watcher on.
	Enabled bool `koanf:"enabled"`
	// Keep is how long a verdict stays in force after its reason was last seen.
	Keep time.Duration `koanf:"keep"`
	// Flows is how many entries of the flow table are read in a second: it bounds the cost.
	Flows int `koanf:"flows"`
	// Trusted are addresses and prefixes that are never judged, like load balancers in front.
	Trusted []string `koanf:"trusted"`
}

// Bounds of the settings, and of what is kept.
const (
	minKeep, maxKeep   = 10 * time.Second, time.Hour
	minFlows, maxFlows = 1024, 1 << 20
	maxTrusted         = 1024
	// maxSources is how many addresses have a window; when it is full, one at random makes room for the next.
	maxSources = 1 << 16
	// maxListeners is how many listeners a turn counts; when it is full, more are counted with the host only.
	maxListeners = 1 << 10
	// maxFlags is how many verdicts of the watcher are in force; when it is full, more are refused.
	maxFlags = 1 << 14
	// halfOpenSlice and sourceSlice are how many entries of those tables are read in a second.
	halfOpenSlice, sourceSlice = 1 << 14, 1 << 14
)

// Validate reports the settings that are out of their range, by key, value and range.
func (o Options) Validate() error {
	var errs []error
	if o.Keep < minKeep || o.Keep > maxKeep {
		errs = append(errs, fmt.Errorf("keep: %v is not in %v..%v", o.Keep, minKeep, maxKeep))
	}
	if o.Flows < minFlows || o.Flows > maxFlows {
		errs = append(errs, fmt.Errorf("flows: %d is not in %d..%d entries", o.Flows, minFlows, maxFlows))
	}
	_, err := parsePrefixes(o.Trusted)
	return errors.Join(append(errs, err)...)
}

// prefixes are sets of addresses, IPv4 as IPv4.
type prefixes []netip.Prefix

func parsePrefixes(texts []string) (all prefixes, err error) {
	if len(texts) > maxTrusted {
		return nil, fmt.Errorf("trusted: %d given, range 0..%d", len(texts), maxTrusted)
	}
	var errs []error
	for i, text := range texts {
		p, err := parsePrefix(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("trusted[%d]: %q is not an address or a prefix, like 10.0.0.1 or 2001:db8::/32", i, text))
		}
		all = append(all, p)
	}
	return all, errors.Join(errs...)
}

func parsePrefix(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		return a.Unmap().Prefix(a.Unmap().BitLen())
	}
	return netip.ParsePrefix(text)
}

// has says whether an address, IPv4 v4-mapped, is in one of them.
func (all prefixes) has(address [16]byte) bool {
	if len(all) == 0 {
		return false
	}
	a := netip.AddrFrom16(address).Unmap()
	for _, p := range all {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
