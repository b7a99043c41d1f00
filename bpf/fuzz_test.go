package bpf

import (
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"fivetuple/correlator/flow"
)

const (
	// fuzzPackets is how many packets are compared; FIVETUPLE_FUZZ gives another number, FIVETUPLE_FUZZ_SEED the seed.
	fuzzPackets = 200_000
	// fuzzRound is how many packets meet the same tables.
	fuzzRound = 10_000
)

// TestFuzzAgainstModel: random traffic, spoiled in random ways, to the kernel program and to a model of it. After each
// packet the counters are the same, every few packets the entries of the packet's 5-tuple, after each round all entries.
func TestFuzzAgainstModel(t *testing.T) {
	packets, seed := fuzzSize(t)
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // the rounds are what is kept, and it is little
	inNamespace(t)                                    // which has no sockets
	for _, index := range fuzzInterfaces()[1:] {
		must(t, netlink.LinkAdd(&netlink.Veth{
			LinkAttrs: netlink.LinkAttrs{Name: fmt.Sprint("ft", index), Index: int(index)}, PeerName: fmt.Sprint("peer", index),
		}))
	}
	for _, c := range []struct {
		name      string
		midstream string
		room      uint32 // for flows, and directions with holes
		captures  bool
		share     int // of 10
	}{
		{"midstream", MidstreamAny, 1 << 14, false, 5},
		{"handshakes only", MidstreamSocket, 1 << 14, false, 2},
		{"few records", MidstreamAny, 5, false, 1},
		{"captures", MidstreamAny, 1 << 14, true, 2},
	} {
		d, start := newDuel(t, c.midstream, c.room, c.captures), time.Now()
		for done := 0; done < packets*c.share/10; done += fuzzRound {
			d.round(t, c.name, seed, c.captures)
			if t.Failed() {
				return
			}
			seed++
		}
		t.Logf("%s: %d packets, %d refused by the test run, %.0f a second: %v",
			c.name, d.packets, d.refused, float64(d.packets)/time.Since(start).Seconds(), d.exits())
	}
}

func fuzzSize(t *testing.T) (packets int, seed uint64) {
	t.Helper()
	packets, seed = fuzzPackets, 1
	if text := os.Getenv("FIVETUPLE_FUZZ"); text != "" {
		var err error
		packets, err = strconv.Atoi(text)
		must(t, err)
		seed = uint64(time.Now().UnixNano())
	}
	if text := os.Getenv("FIVETUPLE_FUZZ_SEED"); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		must(t, err)
	}
	return packets, seed
}

func (d *duel) round(t *testing.T, name string, seed uint64, captures bool) {
	t.Helper()
	traffic := newTraffic(seed, captures)
	sent := make([]*input, 0, fuzzRound)
	for n := range fuzzRound {
		in := traffic.packet()
		sent = append(sent, in)
		if err := d.packet(in); err != nil {
			t.Errorf("%s, seed %d, packet %d: %v\n%s", name, seed, n, err, d.explain(t, sent))
			return
		}
	}
	if err := d.tables(); err != nil {
		t.Errorf("%s, seed %d, after the round: %v", name, seed, err)
		return
	}
	must(t, d.forget())
}

// exits returns how the packets left the program.
func (d *duel) exits() string {
	var b strings.Builder
	for r := range reasonCount {
		fmt.Fprintf(&b, "%v %d ", r, d.model.reasons[flow.RX][r]+d.model.reasons[flow.TX][r])
	}
	return b.String()
}
