package main

import (
	"math/rand/v2"
	"testing"

	"github.com/gopacket/gopacket/layers"

	"fivetuple/correlator/flow"
)

// arrival is a segment as a capture shows it: its number, each of 100 bytes, and how many.
type arrival struct{ number, count int }

const segmentBytes = 100

// disordered returns the segments of a window, late ones up to `late` places behind and some sent again, as arrivals of one
// to three segments each.
func disordered(random *rand.Rand, segments, late int) []arrival {
	arrivals := make([]arrival, 0, segments)
	for n := 0; n < segments; {
		count := min(1+random.IntN(3), segments-n)
		arrivals = append(arrivals, arrival{n, count})
		n += count
	}
	for i := range arrivals {
		if j := i + random.IntN(late); random.IntN(3) == 0 && j < len(arrivals) {
			arrivals[i], arrivals[j] = arrivals[j], arrivals[i]
		}
	}
	for range segments / 10 {
		again := arrivals[random.IntN(len(arrivals))]
		again.number += random.IntN(again.count) // not cut as before
		at := random.IntN(len(arrivals))
		arrivals = append(arrivals[:at], append([]arrival{again}, arrivals[at:]...)...)
	}
	return arrivals
}

// split tells late arrivals from repeated ones by remembering every byte; mostHoles is how many runs of missing bytes there
// were below the highest one at a time.
func split(arrivals []arrival) (retransmitted, outOfOrder uint32, mostHoles int) {
	seen := make(map[int]bool) // by segment
	high := 0
	for _, a := range arrivals {
		fills := false
		for n := a.number; n < a.number+a.count; n++ {
			fills = fills || n < high && !seen[n]
		}
		if a.number < high && fills {
			outOfOrder++
		} else if a.number < high {
			retransmitted++
		}
		for n := a.number; n < a.number+a.count; n++ {
			seen[n] = true
		}
		high = max(high, a.number+a.count)
		holes := 0
		for n := range high {
			if !seen[n] && (n == 0 || seen[n-1]) {
				holes++
			}
		}
		mostHoles = max(mostHoles, holes)
	}
	return retransmitted, outOfOrder, mostHoles
}

// TestReplaySplitsLateFromRepeated: within the bound of remembered holes every capture's split is exact. Beyond it the sum
// still is, the record says how many holes it forgot, and the test lists them.
func TestReplaySplitsLateFromRepeated(t *testing.T) {
	needRoot(t)
	within, beyond := 0, 0
	for seed := range uint64(30) {
		random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // repeatable on purpose
		arrivals := disordered(random, 50+random.IntN(900), 2+random.IntN(300))
		packets := connection(t, 1000)[:3]
		for _, a := range arrivals {
			segment := layers.TCP{ACK: true, Seq: 1008 + uint32(a.number*segmentBytes), Ack: 2001}
			packets = append(packets, tcpPacket(t, true, segment, string(make([]byte, a.count*segmentBytes))))
		}
		flows, _, err := replayFile(t, captureFile(t, packets...), "")
		if err != nil || len(flows) != 1 {
			t.Fatalf("seed %d: %d flows: %v", seed, len(flows), err)
		}
		retransmitted, outOfOrder, holes := split(arrivals)
		got := flows[0].RX
		if got.Retransmitted+got.OutOfOrder != retransmitted+outOfOrder {
			t.Errorf("seed %d: sum of %d and %d, want %d", seed, got.Retransmitted, got.OutOfOrder, retransmitted+outOfOrder)
		}
		if holes > flow.HolesPerDirection {
			beyond++
			t.Logf("seed %d: %d holes at a time, %d forgotten: %d out of order of %d", seed, holes, got.HolesForgotten, got.OutOfOrder, outOfOrder)
			if got.HolesForgotten == 0 {
				t.Errorf("seed %d: more holes than are remembered, and none is said to be forgotten", seed)
			}
			continue
		}
		within++
		if got.Retransmitted != retransmitted || got.OutOfOrder != outOfOrder || got.HolesForgotten != 0 {
			t.Errorf("seed %d, %d holes: retransmitted %d, out of order %d, forgotten %d; want %d, %d, 0",
				seed, holes, got.Retransmitted, got.OutOfOrder, got.HolesForgotten, retransmitted, outOfOrder)
		}
	}
	t.Logf("%d captures within the bound, all equal unless said; %d beyond it", within, beyond)
	if within == 0 || beyond == 0 {
		t.Error("the captures must lie on both sides of the bound")
	}
}
