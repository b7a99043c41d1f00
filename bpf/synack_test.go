package bpf

import (
	"errors"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"fivetuple/correlator/flow"
)

var synAck = segment{flags: syn | ack, seq: peerISN, ack: hostISN + 1}

// TestUnsolicitedSYNACK: it answers nothing, so it makes no entry, and does not crowd out those that do.
func TestUnsolicitedSYNACK(t *testing.T) {
	for _, tu := range []tuple{tuple4, tuple6} {
		c := &talk{newKernel(t), tu}
		c.rx(UnsolicitedSYNACK, synAck)
		if c.hasFlow() || c.hasHalfOpen() {
			t.Errorf("%v: it made an entry", tu)
		}
		// What looks like it, and is not.
		c.rx(RecordedHalfOpen, segment{flags: syn, seq: peerISN})
		c.rx(RecordedHalfOpen, synAck)
		other := &talk{newKernel(t), tu}
		other.tx(RecordedHalfOpen, synAck)
	}
}

// TestSolicitedSYNACK: this host's SYN was seen, or a record of the 5-tuple's last generation is there.
func TestSolicitedSYNACK(t *testing.T) {
	c := newTalk(t)
	c.tx(RecordedHalfOpen, segment{flags: syn, seq: hostISN})
	c.rx(RecordedFlow, synAck)
	c = newOpenTalk(t)
	c.rx(RecordedFlow, segment{flags: rst | ack, seq: peerISN + 1, ack: hostISN + 1})
	must(t, c.HalfOpen.Delete(c.tuple.key(flow.TCP)))
	c.rx(RecordedHalfOpen, segment{flags: syn | ack, seq: 77, ack: 78})
}

func TestUnsolicitedSYNACKMidstreamAny(t *testing.T) {
	c := newTalk(t, midstreamAny)
	c.rx(RecordedHalfOpen, synAck)
}

// TestSYNACKOfASocket: a SYN that was sent before the program came is answered; a listener sends none.
func TestSYNACKOfASocket(t *testing.T) {
	inNamespace(t)
	addVeth(t, newNamespace(t))
	peer := netip.MustParseAddrPort("192.0.2.9:443") // nobody has it
	c := &talk{newKernel(t), tuple{connecting(t, peer), peer}}
	c.rx(RecordedHalfOpen, synAck)
	listener := &talk{newKernel(t), tuple{echo(t, "192.0.2.1:0"), peer}}
	listener.rx(UnsolicitedSYNACK, synAck)
}

// connecting returns the address of a socket that has sent a SYN.
func connecting(t *testing.T, peer netip.AddrPort) netip.AddrPort {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
	must(t, err)
	t.Cleanup(func() { _ = unix.Close(fd) })
	err = unix.Connect(fd, &unix.SockaddrInet4{Port: int(peer.Port()), Addr: peer.Addr().As4()})
	if !errors.Is(err, unix.EINPROGRESS) {
		t.Fatalf("connect: %v", err)
	}
	name, err := unix.Getsockname(fd)
	must(t, err)
	local := name.(*unix.SockaddrInet4)
	return netip.AddrPortFrom(netip.AddrFrom4(local.Addr), uint16(local.Port))
}
