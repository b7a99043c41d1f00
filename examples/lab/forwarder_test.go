//go:build linux

package lab

import (
	"context"
	"slices"
	"testing"
	"time"
)

// crossing is what captures at both ends of a road saw of one direction.
type crossing struct{ sent, arrived []Packet }

// roadTest transfers over a road and returns what crossed it from the gateway to the client.
func roadTest(t *testing.T, o Options, i Impairment) (crossing, Forwarded) {
	t.Helper()
	o.Middle = true
	l := newLab(t, o)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	road, err := l.Middle.Forward(ctx, MiddleClientInterface, MiddleFrontInterface, i)
	if err != nil {
		t.Fatal(err)
	}
	var captures [2]*Capture
	if captures[0], err = l.Gateway.Capture(GatewayFrontInterface, CaptureOptions{}); err != nil {
		t.Fatal(err)
	}
	if captures[1], err = l.Client.Capture(ClientInterface, CaptureOptions{}); err != nil {
		t.Fatal(err)
	}
	transfer(t, l, GatewayFrontIPv4, 2000, 200000, 3)
	if err := captures[0].Wait(deadline(t), bothFINs); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := road.Wait(); err != nil {
		t.Fatal(err)
	}
	var c crossing
	for n, to := range []*[]Packet{&c.sent, &c.arrived} {
		if err := captures[n].Stop(); err != nil {
			t.Fatal(err)
		}
		for _, p := range captures[n].Packets() {
			if p.RX == (n == 1) {
				*to = append(*to, p)
			}
		}
	}
	_, back := road.Counts()
	return c, back
}

// sameFrame says whether two captures of a frame are of the same one: MAC, IP and TCP headers are equal, checksums aside, which
// the sender may have left to the card.
func sameFrame(a, b Packet) bool {
	return a.Length == b.Length && slices.Equal(a.Data[:34], b.Data[:34]) && slices.Equal(a.Data[34:50], b.Data[34:50])
}

func TestForwarderDelaysAndKeepsOrder(t *testing.T) {
	base := 5 * time.Millisecond
	c, counts := roadTest(t, Options{}, Impairment{Seed: 1, DelayMin: base, DelayMax: base, Jitter: 1})
	counts.Late = 0 // as the machine pleases
	if len(c.arrived) < 400 || counts != (Forwarded{Sent: uint64(len(c.arrived))}) {
		t.Fatalf("%d packets sent, %d arrived, counted %+v", len(c.sent), len(c.arrived), counts)
	}
	for n, p := range c.arrived {
		if !sameFrame(c.sent[n], p) {
			t.Fatalf("packet %d is another one than was sent", n)
		}
		if delay := time.Duration(p.Time - c.sent[n].Time); delay < base {
			t.Errorf("packet %d: delay %v, want at least %v", n, delay, base)
		}
	}
}

func TestForwarderCountsWhatItLoses(t *testing.T) {
	i := Impairment{Seed: 2, DelayMax: 2 * time.Millisecond, Loss: 0.1, Reorder: 0.05, HoldMin: time.Millisecond, HoldMax: 3 * time.Millisecond}
	c, counts := roadTest(t, Options{}, i)
	// The last packets may have waited when the road was closed.
	if missing := uint64(len(c.sent) - len(c.arrived)); counts.Lost == 0 || counts.Lost > missing || missing > counts.Lost+2 ||
		counts.Sent != uint64(len(c.arrived)) || counts.Held == 0 || counts.Overflow != 0 {
		t.Errorf("%d packets sent, %d arrived, counted %+v", len(c.sent), len(c.arrived), counts)
	}
}

// TestForwarderSeesSegments: with offloads on, packets are cut behind TC; a merged one would end the forwarder.
func TestForwarderSeesSegments(t *testing.T) {
	c, counts := roadTest(t, Options{Offloads: true}, Impairment{DelayMax: time.Millisecond})
	if counts.Sent < 400 || slices.ContainsFunc(c.sent, func(p Packet) bool { return p.Length > etherHeaderLen+defaultMTU }) {
		t.Errorf("packets longer than the MTU were sent, or too few: %+v", counts)
	}
}
