package bpf

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fivetuple/bpf/capture"
	"fivetuple/correlator/flow"
)

// wantedFigures are the figures of one record of a capture in testdata/cases, as the text beside the capture has them.
type wantedFigures struct {
	records int    // all of them have these figures
	figures string // a part of what figuresOf returns
}

// captureCases are segments that their receiver drops, and 5-tuples that are used again. Each capture has been made with
// RFC 9293 in hand, and its text says what is right.
func captureCases() map[string][]wantedFigures {
	return map[string][]wantedFigures{
		"ack-above-sent":        {{1, "open exchange=1 syn-ack=1000 ack=100000 min=100000 smoothed=100000"}},
		"ack-above-synack":      {{1, "open exchange=1 syn-ack=1000 ack=99000"}},
		"ack-above-synack-only": {{1, "half-open exchange=0 syn-ack=1000 ack=none min=0 smoothed=0 rx=2 rx-retransmitted=0 tx=2 tx-retransmitted=1"}},
		"stray-syn-half-open": {
			{1, "open exchange=1 syn-ack=1000 ack=39000 rx=5 tx=4 tx-retransmitted=1"},
		},
		"stray-syn-half-open-short": {{1, "open exchange=1 syn-ack=1000 ack=39000 rx=5 tx=3"}},
		"synack-new-isn":            {{1, "open exchange=1 ack=50000 min=1000"}},
		"stray-syn-open":            {{1, "exchange=2 rx=6 rx-flags=0x1f tx=6"}},
		"reuse-same-isn":            {{2, "closed exchange=1 syn-ack=1000 ack=1000 rx=4 rx-retransmitted=0 tx=4"}},
		"rst-text-half-open":        {{1, "rx=2 rx-bytes=89 rx-flags=0x6"}},
	}
}

// TestCaptures replays captures whose right figures are known.
func TestCaptures(t *testing.T) {
	needRoot(t)
	for name, wanted := range captureCases() {
		t.Run(name, func(t *testing.T) {
			records := replayCase(t, filepath.Join("testdata", "cases", name+".pcap"))
			var got []string
			for i := range records {
				got = append(got, figuresOf(&records[i]))
			}
			if only := wanted[0].records; name != "stray-syn-open" && len(got) != only {
				t.Errorf("%d records, want %d", len(got), only)
			}
			for _, w := range wanted {
				n := 0
				for _, figures := range got {
					if hasFigures(figures, w.figures) {
						n++
					}
				}
				if n != w.records {
					t.Errorf("%d records have %q, want %d:\n%s", n, w.figures, w.records, strings.Join(got, "\n"))
				}
			}
		})
	}
}

// replayCase returns the records of a capture's connections, seen from who did not open them.
func replayCase(t *testing.T, path string) (records []flow.Record) {
	t.Helper()
	read, err := capture.ReadFile(path)
	must(t, err)
	frames := read.Frames
	r, err := NewReplay(capture.Count(frames))
	must(t, err)
	defer r.Close()
	sides := capture.Initiators(frames)
	for _, f := range frames {
		must(t, r.Packet(PacketOf(f, sides.IsRX(f))))
	}
	must(t, r.Each(func(g *Generation) { records = append(records, g.Record) }))
	return records
}

func hasFigures(all, some string) bool {
	have := strings.Fields(all)
	for want := range strings.FieldsSeq(some) {
		if !slices.Contains(have, want) {
			return false
		}
	}
	return true
}

// figuresOf returns a record's figures as words. Times are microseconds.
func figuresOf(r *flow.Record) string {
	c := &r.Conn
	rx, tx := &c.Dir[flow.RX], &c.Dir[flow.TX]
	between := func(from, to uint64) string {
		if from == 0 || to == 0 {
			return "none"
		}
		return fmt.Sprint((to - from) / 1000)
	}
	return fmt.Sprintf("%v exchange=%d syn-ack=%s ack=%s min=%d smoothed=%d rx=%d rx-bytes=%d rx-flags=%#x rx-retransmitted=%d "+
		"tx=%d tx-flags=%#x tx-retransmitted=%d", c.State, r.Exchange, between(c.SYN, c.SYNACK), between(c.SYNACK, c.ACK),
		r.RTT.MinUS, r.RTT.SmoothedUS8/8, rx.Packets, rx.Bytes, rx.Flags, rx.Retransmitted, tx.Packets, tx.Flags, tx.Retransmitted)
}
