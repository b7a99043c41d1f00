package bpf

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
)

// ErrInterface is what makes an interface unusable.
var ErrInterface = errors.New("unusable interface")

// choose picks the interfaces that the patterns name. Those named outright must be there and must be Ethernet or
// loopback, because the program reads Ethernet headers; a pattern leaves others out, and also the ports of a bond, team or
// bridge that it picks, because each packet of a port that is this host's passes its master too. With an error come the interfaces that can
// be used all the same.
func choose(links []netlink.Link, patterns []string) ([]netlink.Link, error) {
	chosen := make(map[int]netlink.Link)
	var errs []error
	for _, pattern := range patterns {
		exact := !strings.ContainsAny(pattern, `*?[\`)
		found := false
		for _, l := range links {
			if ok, _ := path.Match(pattern, l.Attrs().Name); !ok {
				continue
			}
			found = true
			if !isEthernet(l) {
				if exact {
					errs = append(errs, fmt.Errorf("%w: %s is of type %s, not Ethernet or loopback", ErrInterface, pattern, l.Type()))
				}
				continue
			}
			if exact || !isPort(l, links, pattern) {
				chosen[l.Attrs().Index] = l
			}
		}
		if exact && !found {
			errs = append(errs, fmt.Errorf("%w: there is no %s", ErrInterface, pattern))
		}
	}
	out := make([]netlink.Link, 0, len(chosen))
	for _, l := range chosen {
		out = append(out, l)
	}
	slices.SortFunc(out, func(a, b netlink.Link) int { return a.Attrs().Index - b.Attrs().Index })
	return out, errors.Join(errs...)
}

func isEthernet(l netlink.Link) bool {
	encap := l.Attrs().EncapType
	return encap == "ether" || encap == "loopback"
}

// isPort reports whether the pattern picks the interface's master, too, and whether that sees the port's packets: those of
// a bond, a team and a bridge run their TC hooks for them (net/core/dev.c, __netif_receive_skb_core: another round).
// That of a VRF does not (drivers/net/vrf.c, vrf_ip_rcv), and of any other kind that is not known. Watching both does no
// harm: a flow is counted on one interface.
func isPort(l netlink.Link, links []netlink.Link, pattern string) bool {
	for _, m := range links {
		if m.Attrs().Index == l.Attrs().MasterIndex {
			ok, _ := path.Match(pattern, m.Attrs().Name)
			return ok && slices.Contains([]string{"bond", "team", "bridge"}, m.Type())
		}
	}
	return false
}
