package bpf

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"fivetuple/correlator/flow"
)

func fakeLink(index, master int, name, encap string) netlink.Link {
	kind := strings.TrimRight(name, "0123456789")
	return &netlink.GenericLink{LinkType: kind, LinkAttrs: netlink.LinkAttrs{Index: index, MasterIndex: master, Name: name, EncapType: encap}}
}

func TestChoose(t *testing.T) {
	links := []netlink.Link{
		fakeLink(1, 0, "lo", "loopback"), fakeLink(2, 9, "eth0", "ether"), fakeLink(3, 9, "eth1", "ether"),
		fakeLink(4, 0, "tun0", "none"), fakeLink(9, 0, "bond0", "ether"), fakeLink(10, 0, "vrf0", "ether"), fakeLink(11, 10, "red0", "ether"),
		fakeLink(12, 0, "bridge0", "ether"), fakeLink(13, 12, "green0", "ether"),
	}
	for _, c := range []struct {
		patterns string
		want     []string
		says     string
	}{
		{"lo", []string{"lo"}, ""},
		{"lo lo", []string{"lo"}, ""},
		{"eth*", []string{"eth0", "eth1"}, ""},
		{"*", []string{"lo", "bond0", "vrf0", "red0", "bridge0"}, ""},
		{"* eth1", []string{"lo", "eth1", "bond0", "vrf0", "red0", "bridge0"}, ""},
		{"green*", []string{"green0"}, ""},
		{"eth[1-9]", []string{"eth1"}, ""},
		{"tun*", nil, ""},
		{"tun0", nil, "tun0 is of type"},
		{"eth9 lo", []string{"lo"}, "there is no eth9"},
	} {
		t.Run(c.patterns, func(t *testing.T) {
			chosen, err := choose(links, strings.Fields(c.patterns))
			var names []string
			for _, l := range chosen {
				names = append(names, l.Attrs().Name)
			}
			if !slices.Equal(names, c.want) {
				t.Errorf("chosen: %v, want %v", names, c.want)
			}
			if (err != nil) != (c.says != "") || err != nil && (!errors.Is(err, ErrInterface) || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("got error %v, want %q", err, c.says)
			}
		})
	}
}

// newMovingTalk is an open connection on the first of two interfaces.
func newMovingTalk(t *testing.T) (c *talk, first, second uint32) {
	t.Helper()
	inNamespace(t)
	first = uint32(addVeth(t, newNamespace(t)).Attrs().Index)
	second = uint32(linkNamed(t, "lo").Attrs().Index)
	c = newTalk(t)
	c.link = first
	c.open(peerISN, hostISN)
	return c, first, second
}

func TestOtherInterfaceIsNotCounted(t *testing.T) {
	for name, s := range map[string]segment{
		"copy of a pure ACK":  {flags: ack, seq: peerISN + 1, ack: hostISN + 1},
		"copy of old payload": {flags: ack, seq: peerISN + 1, ack: hostISN + 1, payload: "GET"},
		"RST":                 {flags: rst, seq: peerISN + 4},
	} {
		t.Run(name, func(t *testing.T) {
			c, _, second := newMovingTalk(t)
			c.rxData(0, "GET")
			before := c.flow()
			c.link = second
			c.at(5000).rx(OtherInterface, s)
			same(t, c.flow(), before)
		})
	}
}

func TestMovedInterface(t *testing.T) {
	for name, s := range map[string]segment{
		"new payload": {flags: ack, seq: peerISN + 4, ack: hostISN + 1, payload: "more"},
		"new ACK":     {flags: ack, seq: peerISN + 4, ack: hostISN + 5},
		"FIN":         {flags: fin | ack, seq: peerISN + 4, ack: hostISN + 1},
	} {
		t.Run(name, func(t *testing.T) {
			c, first, second := newMovingTalk(t)
			c.rxData(0, "GET")
			c.txData(0, "HTTP")
			c.link = second
			c.rx(RecordedFlow, s)
			r := c.flow()
			same(t, [3]uint32{r.Conn.Dir[flow.RX].Ifindex, r.Conn.Dir[flow.TX].Ifindex, uint32(r.Conn.Moved)}, [3]uint32{second, first, 1})
			c.link = first
			c.rx(OtherInterface, s) // its copy on the interface that it left
		})
	}
}

func TestRepeatedSYNOnOtherInterface(t *testing.T) {
	c, first, second := newMovingTalk(t)
	c.tuple.remote = tuple6.remote
	c.tuple.local = tuple6.local
	c.link = first
	c.rx(RecordedHalfOpen, segment{flags: syn, seq: peerISN})
	c.link = second
	c.rx(OtherInterface, segment{flags: syn, seq: peerISN})
	same(t, c.halfOpen().Dir[flow.RX].Packets, uint64(1))
}

func TestUDPOnOtherInterface(t *testing.T) {
	c, first, second := newMovingTalk(t)
	c.link = first
	c.want(RecordedUDP, flow.RX, c.tuple.udp(flow.RX, "?"))
	c.link = second
	c.want(OtherInterface, flow.RX, c.tuple.udp(flow.RX, "?"))
	same(t, c.conn(c.UDP, c.tuple.key(flow.UDP)).Dir[flow.RX].Packets, uint64(1))
}

func ExampleReason() {
	fmt.Println(NoConnection)
	// Output: no-connection
}
