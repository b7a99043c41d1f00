//go:build linux

package lab

import (
	"bytes"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/gopacket/gopacket/pcapgo"
	"golang.org/x/sys/unix"
)

// Sizes that need many segments each way and end in the middle of one.
const (
	testRequest = 150_001
	testAnswer  = 333_333
	testRounds  = 3
)

type variant struct {
	name     string
	address  string
	offloads bool
}

func variants() []variant {
	return []variant{
		{"IPv4", GatewayFrontIPv4, false},
		{"IPv6", GatewayFrontIPv6, false},
		{"IPv4 with offloads", GatewayFrontIPv4, true},
		{"IPv6 with offloads", GatewayFrontIPv6, true},
	}
}

// captured runs the transfer of one variant under a capture on the gateway.
func captured(t *testing.T, v variant, file *bytes.Buffer) (*Flow, ends, []Packet) {
	t.Helper()
	l := newLab(t, Options{Offloads: v.offloads})
	var options CaptureOptions
	if file != nil {
		options.PCAP = file
	}
	c, err := l.Gateway.Capture(GatewayFrontInterface, options)
	if err != nil {
		t.Fatal(err)
	}
	e := transfer(t, l, v.address, testRequest, testAnswer, testRounds)
	if err := c.Wait(deadline(t), bothFINs); err != nil {
		t.Fatal(err)
	}
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	packets := c.Packets()
	flows := Flows(packets, nil)
	if len(flows) != 1 || flows[e.key] == nil {
		t.Fatalf("flows %v, want only %v", flows, e.key)
	}
	return flows[e.key], e, packets
}

func TestCaptureAgainstSockets(t *testing.T) {
	requireLab(t)
	for _, v := range variants() {
		t.Run(v.name, func(t *testing.T) {
			before, err := readClock(unix.CLOCK_MONOTONIC)
			if err != nil {
				t.Fatal(err)
			}
			flow, e, packets := captured(t, v, nil)
			after, err := readClock(unix.CLOCK_MONOTONIC)
			if err != nil {
				t.Fatal(err)
			}
			// The kernel's own counts; they have retransmissions in, as the capture has.
			if got, want := flow.RX.Payload, e.info.Bytes_sent; got != want {
				t.Errorf("rx payload %d, TCP_INFO says %d sent", got, want)
			}
			if got, want := flow.RX.DataPackets, uint64(e.info.Data_segs_out); got != want {
				t.Errorf("rx segments with payload %d, TCP_INFO says %d sent", got, want)
			}
			if got, want := flow.TX.Payload, e.info.Bytes_received; got < want {
				t.Errorf("tx payload %d, TCP_INFO says %d received", got, want)
			}
			checkUnique(t, flow)
			checkMerged(t, packets, v.offloads)
			for _, p := range packets {
				if p.Time < before || p.Time > after {
					t.Fatalf("packet at %d, the test ran from %d to %d", p.Time, before, after)
				}
			}
			h := flow.Handshake
			if !h.FromRemote || !slices.IsSorted([]int64{before, h.SYN, h.SYNACK, h.ACK, after}) {
				t.Errorf("handshake %+v", h)
			}
		})
	}
}

// checkUnique holds the payload above the highest sequence number against what the program wrote.
func checkUnique(t *testing.T, flow *Flow) {
	t.Helper()
	list := flow.Exchanges()
	if len(list) != testRounds+1 {
		t.Fatalf("%d exchanges, want %d and exchange 0", len(list), testRounds)
	}
	for _, x := range list[1:] {
		var rx, tx int
		for _, s := range x.RX {
			if s.New {
				rx += s.PayloadLen
			}
		}
		for _, s := range x.TX {
			if s.New {
				tx += s.PayloadLen
			}
		}
		if rx != testRequest || tx != testAnswer {
			t.Errorf("exchange %d has %d and %d bytes, want %d and %d", x.Number, rx, tx, testRequest, testAnswer)
		}
		if x.RXFirst > x.RXLast || x.RXLast > x.TXFirst || x.TXFirst > x.TXLast || x.RXMax > defaultMTU {
			t.Errorf("exchange %d: %+v", x.Number, x.Figures)
		}
	}
	all, err := flow.Between(0, Newest, math.MaxInt64)
	if err != nil {
		t.Fatal(err)
	}
	if all.RXPayload != flow.RX.Payload || all.TXPackets != flow.TX.DataPackets {
		t.Errorf("all exchanges %+v, the flow %+v %+v", all, flow.RX, flow.TX)
	}
}

// checkMerged wants merged packets both ways, or none larger than the MTU.
func checkMerged(t *testing.T, packets []Packet, offloads bool) {
	t.Helper()
	merged := map[bool]int{}
	for _, p := range packets {
		if p.GSOSize > 0 {
			merged[p.RX]++
		}
		if !offloads && p.Length > defaultMTU+etherHeaderLen {
			t.Errorf("a frame of %d bytes without offloads", p.Length)
		}
	}
	if offloads != (merged[true] > 0) || offloads != (merged[false] > 0) {
		t.Errorf("merged packets: %d rx, %d tx; offloads are %v", merged[true], merged[false], offloads)
	}
}

// TestCaptureFile holds the written file, which knows nothing of merged packets, against the capture.
func TestCaptureFile(t *testing.T) {
	requireLab(t)
	for _, v := range variants() {
		t.Run(v.name, func(t *testing.T) {
			var file bytes.Buffer
			want, e, packets := captured(t, v, &file)
			in, err := pcapgo.NewReader(&file)
			if err != nil {
				t.Fatal(err)
			}
			read := readPackets(t, in)
			got := Flows(read, LocalAddrs(e.key.Local.Addr()))[e.key]
			if got == nil {
				t.Fatal("the flow is not in the file")
			}
			if got.RX != want.RX || got.TX != want.TX {
				t.Errorf("file: %+v %+v, capture: %+v %+v", got.RX, got.TX, want.RX, want.TX)
			}
			if len(got.Exchanges()) != len(want.Exchanges()) {
				t.Errorf("file: %d exchanges, capture: %d", len(got.Exchanges()), len(want.Exchanges()))
			}
			for _, p := range read {
				if p.Length > defaultMTU+etherHeaderLen {
					t.Fatalf("a frame of %d bytes in the file", p.Length)
				}
			}
			if !packets[0].Wall.Equal(time.Unix(0, got.Handshake.SYN)) {
				t.Errorf("SYN at %v, in the file at %v", packets[0].Wall, time.Unix(0, got.Handshake.SYN))
			}
		})
	}
}

func TestCaptureStop(t *testing.T) {
	l := newLab(t, Options{})
	c, err := l.Gateway.Capture(GatewayFrontInterface, CaptureOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// Nothing waits here: what was sent before Stop is in the capture.
	transfer(t, l, GatewayFrontIPv4, 100, 100, 1)
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	if !bothFINs(c.Packets()) {
		t.Error("the last packets are not in the capture")
	}
	n := len(c.Packets())
	transfer(t, l, GatewayFrontIPv4, 100, 100, 1)
	if got := len(c.Packets()); got != n {
		t.Errorf("%d packets after Stop, %d before", got, n)
	}
	if err := c.Stop(); err != nil {
		t.Errorf("second Stop: %v", err)
	}
	if err := c.Wait(deadline(t), func([]Packet) bool { return false }); err == nil {
		t.Error("Wait for the impossible on a stopped capture succeeds")
	}
}

// TestCaptureLoss fills the queue of a capture nobody reads.
func TestCaptureLoss(t *testing.T) {
	l := newLab(t, Options{})
	c, err := l.Gateway.openCapture(GatewayFrontInterface, CaptureOptions{})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := c.socket.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var set error
	err = conn.Control(func(fd uintptr) { set = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4096) })
	if err != nil || set != nil {
		t.Fatal(err, set)
	}
	transfer(t, l, GatewayFrontIPv4, 100_000, 100, 1)
	go c.run()
	if err := c.Stop(); err == nil {
		t.Error("a capture that lost packets stops without an error")
	}
}

func TestCaptureRefuses(t *testing.T) {
	l := newLab(t, Options{})
	if c, err := l.Gateway.Capture("no-such-one", CaptureOptions{}); err == nil {
		t.Error("captures on an interface that is not there", c.Stop())
	}
}
