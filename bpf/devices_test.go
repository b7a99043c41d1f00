package bpf

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"github.com/cilium/ebpf/link"
	"github.com/rs/zerolog"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"fivetuple/correlator/flow"
)

// device makes an interface of one kind over veth pairs to another namespace, which gets 192.0.2.2; the device has
// 192.0.2.1.
type device struct {
	kind string
	name string // of the interface that carries the address
	make func(t *testing.T, other *namespace)
}

// addLink makes an interface, or leaves the test out where this kernel has no module for its kind: `make kernels` boots
// kernels that have all of them.
func addLink(t *testing.T, l netlink.Link) {
	t.Helper()
	err := netlink.LinkAdd(l)
	if errors.Is(err, unix.EOPNOTSUPP) && os.Getenv("FIVETUPLE_GUEST") == "" {
		t.Skipf("this kernel has no %s; make kernels runs this test", l.Type())
	}
	must(t, err)
}

// addPair makes a pair of interfaces of which neither has an address: NAME here, and NAMEp in the other namespace.
func addPair(t *testing.T, other *namespace, name string) netlink.Link {
	t.Helper()
	must(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: name + "p"}))
	must(t, netlink.LinkSetNsFd(linkNamed(t, name+"p"), int(other.file.Fd())))
	must(t, netlink.LinkSetUp(linkNamed(t, name)))
	must(t, <-other.start(func() error {
		l, err := netlink.LinkByName(name + "p")
		if err != nil {
			return err
		}
		return netlink.LinkSetUp(l)
	}))
	return linkNamed(t, name)
}

func enslave(t *testing.T, port, master string) {
	t.Helper()
	must(t, netlink.LinkSetDown(linkNamed(t, port)))
	must(t, netlink.LinkSetMaster(linkNamed(t, port), linkNamed(t, master)))
	must(t, netlink.LinkSetUp(linkNamed(t, port)))
}

func devices() []device {
	const here, there = "192.0.2.1/24", "192.0.2.2/24"
	return []device{
		{"bridge", "br0", func(t *testing.T, other *namespace) {
			t.Helper()
			addLink(t, &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}})
			addPair(t, other, "ft0")
			enslave(t, "ft0", "br0")
			must(t, setUp("br0", here))
			must(t, <-other.start(func() error { return setUp("ft0p", there) }))
		}},
		{"bond", "bond0", func(t *testing.T, other *namespace) {
			t.Helper()
			bond := netlink.NewLinkBond(netlink.LinkAttrs{Name: "bond0"})
			bond.Mode, bond.Miimon = netlink.BOND_MODE_ACTIVE_BACKUP, 50
			addLink(t, bond)
			for _, port := range []string{"ft0", "ft1"} {
				addPair(t, other, port)
				enslave(t, port, "bond0")
			}
			must(t, setUp("bond0", here))
			must(t, <-other.start(func() error { return bridgePorts("ft0p", "ft1p", there) }))
		}},
		{"VLAN", "ft0.7", func(t *testing.T, other *namespace) {
			t.Helper()
			parent := addPair(t, other, "ft0")
			addLink(t, &netlink.Vlan{LinkAttrs: netlink.LinkAttrs{Name: "ft0.7", ParentIndex: parent.Attrs().Index}, VlanId: 7})
			must(t, setUp("ft0.7", here))
			must(t, <-other.start(func() error {
				parent, err := netlink.LinkByName("ft0p")
				if err != nil {
					return err
				}
				err = netlink.LinkAdd(&netlink.Vlan{LinkAttrs: netlink.LinkAttrs{Name: "vlan", ParentIndex: parent.Attrs().Index}, VlanId: 7})
				return errors.Join(err, setUp("vlan", there))
			}))
		}},
		{"VRF", "ft0", func(t *testing.T, other *namespace) {
			t.Helper()
			addLink(t, &netlink.Vrf{LinkAttrs: netlink.LinkAttrs{Name: "vrf0"}, Table: 7})
			must(t, netlink.LinkSetUp(linkNamed(t, "vrf0")))
			must(t, os.WriteFile("/proc/sys/net/ipv4/tcp_l3mdev_accept", []byte("1"), 0)) //nolint:gosec // of this namespace
			addPair(t, other, "ft0")
			enslave(t, "ft0", "vrf0")
			must(t, setUp("ft0", here))
			must(t, <-other.start(func() error { return setUp("ft0p", there) }))
		}},
	}
}

// bridgePorts joins two interfaces by a bridge with an address.
func bridgePorts(one, two, address string) error {
	if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "bridge"}}); err != nil {
		return err
	}
	bridge, err := netlink.LinkByName("bridge")
	if err != nil {
		return err
	}
	for _, name := range []string{one, two} {
		port, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		if err := netlink.LinkSetMaster(port, bridge); err != nil {
			return err
		}
	}
	return setUp("bridge", address)
}

// dialFrom opens a connection to 192.0.2.1 from another namespace.
func dialFrom(t *testing.T, other *namespace, port uint16) (net.Conn, flow.Key) {
	t.Helper()
	var c net.Conn
	must(t, <-other.start(func() (err error) {
		// A port of a bridge forwards only after it has listened; a bond's link is seen at its next check.
		for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			c, err = net.DialTimeout("tcp", fmt.Sprintf("192.0.2.1:%d", port), time.Second)
			if err == nil || time.Now().After(end) {
				return err
			}
		}
	}))
	t.Cleanup(func() { _ = c.Close() })
	client, server := c.LocalAddr().(*net.TCPAddr).AddrPort(), c.RemoteAddr().(*net.TCPAddr).AddrPort()
	return c, flow.NewKey(flow.TCP, server, client)
}

// TestDevices: a connection over any kind of interface is counted exactly once, whether the settings name the interface,
// a pattern that fits all interfaces, or the listener.
func TestDevices(t *testing.T) {
	for _, d := range devices() {
		t.Run(d.kind, func(t *testing.T) {
			for _, pattern := range []string{"*", d.name, "listener:8080"} {
				t.Run(pattern, func(t *testing.T) {
					inNamespace(t)
					other := newNamespace(t)
					d.make(t, other)
					server := echo(t, "0.0.0.0:8080")
					pins := pinFolder(t, false)
					a := startAgent(t, agentOptions(pins, watch(pattern)))
					c, key := dialFrom(t, other, server.Port())
					call(t, c, "hello")
					call(t, c, "again")
					record := lookUp(t, newTestReader(t, pins), key)
					rx := record.Conn.Dir[flow.RX]
					same(t, [3]uint64{rx.Payload, uint64(rx.Retransmitted), uint64(record.Exchange)}, [3]uint64{10, 0, 2})
					same(t, int(record.Conn.Origin), int(flow.OriginHandshake))
					if pattern == "listener:8080" {
						same(t, a.attacher.watched[linkNamed(t, d.name).Attrs().Index] != nil, true)
					}
				})
			}
		})
	}
}

// TestBondFailsOver: a connection goes on over the other port of a bond, whether the bond or its ports are watched, and is
// counted on the port that carries it.
func TestBondFailsOver(t *testing.T) {
	for name, interfaces := range map[string][]string{"the bond": {"bond0"}, "its ports": {"ft0", "ft1"}, "all three": {"bond0", "ft0", "ft1"}} {
		t.Run(name, func(t *testing.T) {
			inNamespace(t)
			other := newNamespace(t)
			for _, d := range devices() {
				if d.kind == "bond" {
					d.make(t, other)
				}
			}
			server := echo(t, "0.0.0.0:8080")
			pins := pinFolder(t, false)
			startAgent(t, agentOptions(pins, watch(interfaces...)))
			c, key := dialFrom(t, other, server.Port())
			call(t, c, "hello")
			active, err := netlink.LinkByIndex(linkNamed(t, "bond0").(*netlink.Bond).ActiveSlave)
			must(t, err)
			must(t, netlink.LinkSetDown(active))
			call(t, c, "after")
			reader := newTestReader(t, pins)
			record := lookUp(t, reader, key)
			rx := record.Conn.Dir[flow.RX]
			again := 5 * uint64(rx.Retransmitted) // what the port that went down has lost
			same(t, [2]uint64{rx.Payload - again, uint64(record.Exchange)}, [2]uint64{10, 2})
		})
	}
}

// TestListenerThatBeginsLater: the agent waits for the listener that its settings name, and for no other.
func TestListenerThatBeginsLater(t *testing.T) {
	here := inNamespace(t)
	other := newNamespace(t)
	addVeth(t, other)
	pins := pinFolder(t, false)
	a := startAgent(t, agentOptions(pins, watch("listener:8080")))
	same(t, len(a.attacher.watched), 0)
	runAgent(t, here, a)
	echo(t, "192.0.2.1:8081")
	server := echo(t, "192.0.2.1:8080")
	eventually(t, 3*time.Second, "programs on the listener's interface", func() bool { return attachedPrograms(t, "ft0") == 2 })
	same(t, attachedPrograms(t, "lo"), 0)
	c, key := dialFrom(t, other, server.Port())
	call(t, c, "hello")
	same(t, lookUp(t, newTestReader(t, pins), key).Conn.Dir[flow.RX].Payload, uint64(5))
}

// TestAnotherProgramAhead: a program that somebody puts before ours, and that ends the chain, is named in the log once; and
// so is its end.
func TestAnotherProgramAhead(t *testing.T) {
	const took, passed = "another program runs before fivetuple's: packets that it drops or redirects are not counted", "no other program runs before fivetuple's"
	inNamespace(t)
	var log bytes.Buffer
	a, err := Start(agentOptions(pinFolder(t, false)), zerolog.New(&log))
	must(t, err)
	t.Cleanup(func() { _ = a.remove() })
	lo, stranger := linkNamed(t, "lo"), newForeign(t, 0) // TC_ACT_OK: nobody behind it sees the packet
	var remove func() error
	if hasTCX(t) {
		l, err := link.AttachTCX(link.TCXOptions{Interface: lo.Attrs().Index, Program: stranger.Program, Attach: attachType(ingress), Anchor: link.Head()})
		must(t, err)
		remove = l.Close
	} else {
		f := &netlink.BpfFilter{
			FilterAttrs: netlink.FilterAttrs{LinkIndex: lo.Attrs().Index, Parent: clsactParent(ingress), Protocol: unix.ETH_P_ALL, Priority: 1},
			Fd:          stranger.FD(), Name: "stranger", DirectAction: true,
		}
		must(t, netlink.FilterAdd(f))
		remove = func() error { return netlink.FilterDel(f) }
	}
	log.Reset()
	for range 3 {
		a.attacher.check(a.clock.Now())
	}
	wantLog(t, &log, took)
	must(t, remove())
	for range 3 {
		a.attacher.check(a.clock.Now())
	}
	wantLog(t, &log, passed)
}

// TestInterfaceMoves: an interface that goes to another namespace, and comes back, is counted while it is here; one that becomes a
// port of a bridge is counted once.
func TestInterfaceMoves(t *testing.T) {
	here := inNamespace(t)
	other, away := newNamespace(t), newNamespace(t)
	addVeth(t, other)
	pins := pinFolder(t, false)
	runAgent(t, here, startAgent(t, agentOptions(pins, watch("lo", "ft*", "br*"))))
	server := echo(t, "0.0.0.0:8080")
	reader := newTestReader(t, pins)
	counted := func(what string) {
		t.Helper()
		eventually(t, 5*time.Second, what+": programs on ft0", func() bool { return attachedPrograms(t, "ft0") == 2 })
		c, key := dialFrom(t, other, server.Port())
		call(t, c, "hello")
		record := lookUp(t, reader, key)
		same(t, [2]uint64{record.Conn.Dir[flow.RX].Payload, uint64(record.Exchange)}, [2]uint64{5, 1})
	}
	counted("at the start")

	must(t, netlink.LinkSetNsFd(linkNamed(t, "ft0"), int(away.file.Fd())))
	must(t, <-away.start(func() error {
		if err := setUp("ft0", "192.0.2.1/24"); err != nil {
			return err
		}
		l, err := netlink.LinkByName("ft0")
		if err != nil {
			return err
		}
		return netlink.LinkSetNsFd(l, int(here.file.Fd()))
	}))
	must(t, setUp("ft0", "192.0.2.1/24"))
	counted("after its return")

	must(t, netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}))
	must(t, netlink.AddrDel(linkNamed(t, "ft0"), &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(192, 0, 2, 1).To4(), Mask: net.CIDRMask(24, 32)}}))
	must(t, netlink.LinkSetMaster(linkNamed(t, "ft0"), linkNamed(t, "br0")))
	must(t, setUp("br0", "192.0.2.1/24"))
	eventually(t, 5*time.Second, "programs on the bridge", func() bool { return attachedPrograms(t, "br0") == 2 })
	counted("as a port")
}
