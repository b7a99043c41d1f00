package calls

import "net/netip"

// cutter cuts addresses to their leading bits.
type cutter struct{ ipv4, ipv6 int }

// cut returns an address as it is written: whole, or as the net that its leading bits name.
func (c cutter) cut(a netip.Addr) (text string, whole bool) {
	bits := c.ipv6
	if a.Is4() {
		bits = c.ipv4
	}
	if bits >= a.BitLen() {
		return a.String(), true
	}
	net, err := a.Prefix(bits)
	if err != nil { // no address
		return "", false
	}
	return net.String(), false
}
