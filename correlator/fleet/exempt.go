package fleet

import (
	"net/netip"

	"fivetuple/correlator/flow"
)

// exempt are the addresses that no other gateway's word counts about.
type exempt struct {
	trusted flow.Prefixes
	local   map[netip.Addr]struct{} // this host's
}

// has says whether an address is one of them, or means another host on each host: loopback, link-local, multicast.
func (e *exempt) has(a netip.Addr) bool {
	if !a.IsGlobalUnicast() { // private ones are
		return true
	}
	_, isLocal := e.local[a]
	return isLocal || e.trusted.Has(a)
}
