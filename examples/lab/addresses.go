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
// the upstream's only one, and those of the middle namespace toward the client and toward the gateway.
const (
	ClientInterface       = "client0"
	GatewayFrontInterface = "front0"
	GatewayBackInterface  = "back0"
	UpstreamInterface     = "upstream0"
	MiddleClientInterface = "left0"
	MiddleFrontInterface  = "right0"
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
	offloads  offloads
}

// pairs returns what joins the lab's namespaces.
func (l *Lab) pairs(options Options) [][2]end {
	whole := offloads{tso: options.Offloads, gso: options.Offloads, gro: options.Offloads}
	client := end{l.Client, ClientInterface, []string{ClientIPv4 + prefixIPv4, ClientIPv6 + prefixIPv6}, whole}
	front := end{
		l.Gateway, GatewayFrontInterface,
		[]string{GatewayFrontIPv4 + prefixIPv4, GatewayFrontIPv6 + prefixIPv6},
		whole,
	}
	behind := [2]end{
		{l.Gateway, GatewayBackInterface, []string{GatewayBackIPv4 + prefixIPv4, GatewayBackIPv6 + prefixIPv6}, whole},
		{l.Upstream, UpstreamInterface, []string{UpstreamIPv4 + prefixIPv4, UpstreamIPv6 + prefixIPv6}, whole},
	}
	if !options.Middle {
		return [][2]end{{client, front}, behind}
	}
	// Without TSO the kernel cuts merged packets behind TC, so that the middle sees each packet of the wire.
	client.offloads.tso, front.offloads.tso = false, false
	return [][2]end{
		{client, {l.Middle, MiddleClientInterface, nil, offloads{}}},
		{{l.Middle, MiddleFrontInterface, nil, offloads{}}, front},
		behind,
	}
}
