package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"

	"github.com/vishvananda/netlink"

	"fivetuple/examples/lab"
	"fivetuple/examples/stack"
)

// Options say with what.
type Options struct {
	Binary string
	Log    io.Writer // of agent and runner; nil discards it
}

const (
	// foreign is the net of addresses that packets claim to be from, and that nobody has (RFC 2544).
	foreign = "198.18.0.0/15"
	prefix  = "/24"
)

// scene is a stack with addresses for those who play.
type scene struct {
	*stack.Stack
	flags *flags
}

// newScene starts a stack.
func newScene(ctx context.Context, o Options, road *lab.Impairment, offloads bool) (*scene, error) {
	st, err := stack.New(ctx, stack.Options{Binary: o.Binary, Log: o.Log, Road: road, Offloads: offloads})
	if err != nil {
		return nil, err
	}
	s := &scene{Stack: st}
	if s.flags, err = openFlags(st); err == nil {
		err = s.routeForeign()
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// end ends the runner, which so writes the line of each call, and reads the last ones.
func (s *scene) end() error {
	err := s.StopRunner()
	s.flags.drain(s.CallsFile())
	return err
}

// Close ends it.
func (s *scene) Close() error {
	if s.flags != nil {
		s.flags.close()
	}
	return s.Stack.Close()
}

// routeForeign lets the gateway answer foreign addresses, into the client's namespace, which has none of them.
func (s *scene) routeForeign() error {
	return s.Lab.Gateway.Do(func() error {
		link, err := netlink.LinkByName(lab.GatewayFrontInterface)
		if err != nil {
			return err
		}
		_, to, err := net.ParseCIDR(foreign)
		if err != nil {
			return err
		}
		return netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: to, Gw: net.ParseIP(lab.ClientIPv4)})
	})
}

// player is an address of the client's namespace.
type player struct {
	s       *scene
	address netip.Addr
}

// player adds an address: the last byte is its number.
func (s *scene) player(number int) (*player, error) {
	base := netip.MustParseAddr(lab.ClientIPv4).As4()
	base[3] = byte(number)
	p := &player{s, netip.AddrFrom4(base)}
	return p, s.Lab.Client.Do(func() error {
		link, err := netlink.LinkByName(lab.ClientInterface)
		if err != nil {
			return err
		}
		address, err := netlink.ParseAddr(p.address.String() + prefix)
		if err != nil {
			return err
		}
		return netlink.AddrAdd(link, address)
	})
}

// dial connects to the gateway.
func (p *player) dial(ctx context.Context) (conn net.Conn, err error) {
	err = p.s.Lab.Client.Do(func() error {
		conn, err = p.dialHere(ctx)
		return err
	})
	return conn, err
}

// dialHere is dial for who is in the client's namespace.
func (p *player) dialHere(ctx context.Context) (net.Conn, error) {
	dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(p.address, 0))}
	dialer.SetMultipathTCP(false)
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(lab.GatewayFrontIPv4, strconv.Itoa(stack.Port)))
	if err != nil {
		return nil, fmt.Errorf("dial as %v: %w", p.address, err)
	}
	return conn, nil
}
