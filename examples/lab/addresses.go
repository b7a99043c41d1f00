//go:build linux

package lab

// The addresses of the lab, for both families of both links.
const (
	ClientIPv4       = "10.77.1.2"
	GatewayFrontIPv4 = "10.77.1.1"
	GatewayBackIPv4  = "10.77.2.1"
	UpstreamIPv4     = "10.77.2.2"

	ClientIPv6       = "fd77:1::2"
	GatewayFrontIPv6 = "fd77:1::1"
	GatewayBackIPv6  = "fd77:2::1"
	UpstreamIPv6     = "fd77:2::2"
)

// The interfaces of the lab: the client's only one, the gateway's toward the client and toward the upstream,
// and the upstream's only one.
const (
	ClientInterface       = "client0"
	GatewayFrontInterface = "front0"
	GatewayBackInterface  = "back0"
	UpstreamInterface     = "upstream0"
)

const (
	prefixIPv4 = "/24"
	prefixIPv6 = "/64"
)

// end is one end of a veth pair.
type end struct {
	in        *Namespace
	name      string
	addresses []string // CIDR
}

// pairs returns what joins the lab's namespaces.
func (l *Lab) pairs() [][2]end {
	return [][2]end{
		{
			{l.Client, ClientInterface, []string{ClientIPv4 + prefixIPv4, ClientIPv6 + prefixIPv6}},
			{l.Gateway, GatewayFrontInterface, []string{GatewayFrontIPv4 + prefixIPv4, GatewayFrontIPv6 + prefixIPv6}},
		},
		{
			{l.Gateway, GatewayBackInterface, []string{GatewayBackIPv4 + prefixIPv4, GatewayBackIPv6 + prefixIPv6}},
			{l.Upstream, UpstreamInterface, []string{UpstreamIPv4 + prefixIPv4, UpstreamIPv6 + prefixIPv6}},
		},
	}
}
