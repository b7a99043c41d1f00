//go:build linux

package lab

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// TestCaptureVLAN sends tagged frames by hand, which needs no VLAN support in the kernel. The receiving side
// keeps the outer tag beside the packet, and the capture puts it back.
func TestCaptureVLAN(t *testing.T) {
	l := newLab(t, Options{})
	c, err := l.Gateway.Capture(GatewayFrontInterface, CaptureOptions{})
	if err != nil {
		t.Fatal(err)
	}
	frames := []frame{
		{rx: true, payload: 100, tags: []uint16{etherVLAN}},
		{rx: true, seq: 100, payload: 50, tags: []uint16{etherQinQ, etherVLAN}},
		{rx: true, seq: 150, payload: 7, v6: true, tags: []uint16{etherVLAN}},
		{rx: true, seq: 150, payload: 400},
	}
	for _, f := range frames {
		sendRaw(t, l.Client, ClientInterface, f.packet().Data)
	}
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	packets := c.Packets()
	if len(packets) != len(frames) {
		t.Fatalf("%d packets, want %d", len(packets), len(frames))
	}
	for i, p := range packets {
		sent := frames[i].packet()
		kept := sent.Data[:min(len(sent.Data), keptBytes)]
		if p.Length != sent.Length || string(p.Data) != string(kept) || !p.RX {
			t.Errorf("frame %d: %d bytes, rx %v, % x\nsent %d, % x", i, p.Length, p.RX, p.Data, sent.Length, kept)
		}
	}
	flows := Flows(packets, nil)
	if f := flows[testKey(false)]; len(flows) != 2 || f == nil || f.RX.Payload != 550 {
		t.Errorf("flows %v, want two, the first with 550 bytes", flows)
	}
}

// sendRaw sends one frame as it is.
func sendRaw(t *testing.T, n *Namespace, ifname string, data []byte) {
	t.Helper()
	err := n.Do(func() error {
		device, err := net.InterfaceByName(ifname)
		if err != nil {
			return err
		}
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.Sendto(fd, data, 0, &unix.SockaddrLinklayer{Ifindex: device.Index})
	})
	if err != nil {
		t.Fatal(err)
	}
}
