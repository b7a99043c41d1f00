package bpf

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// shrinkRuns bounds how often a sequence is tried again.
const shrinkRuns = 3000

// explain returns the shortest sequence that it finds of the packets that led to a difference, and what differs then.
func (d *duel) explain(t *testing.T, sent []*input) string {
	t.Helper()
	d.always = true
	short := sent
	if of := ofSameTuple(sent); d.fails(t, of) != nil {
		short = of
	}
	runs := 0
	for size := len(short) / 2; size > 0; {
		removed := false
		for from := 0; from < len(short) && runs < shrinkRuns; runs++ {
			fewer := slices.Delete(slices.Clone(short), from, min(from+size, len(short)))
			if d.fails(t, fewer) == nil {
				from += size
				continue
			}
			short, removed = fewer, true
		}
		if !removed || size > len(short) {
			size /= 2
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "shrunk to %d packets: %v\n", len(short), d.fails(t, short))
	for _, in := range short {
		fmt.Fprintln(&b, in)
	}
	return b.String()
}

// ofSameTuple returns the packets of the last one's 5-tuple.
func ofSameTuple(sent []*input) (same []*input) {
	last, _ := readPacket(sent[len(sent)-1])
	for _, in := range sent {
		if p, _ := readPacket(in); p.key == last.key {
			same = append(same, in)
		}
	}
	return same
}

// fails feeds packets to empty tables and returns the first difference.
func (d *duel) fails(t *testing.T, packets []*input) error {
	t.Helper()
	must(t, d.forget())
	counted, err := d.kernel.counted()
	must(t, err)
	d.model.reasons = counted // which may differ by now
	for _, in := range packets {
		if err := d.packet(in); err != nil {
			return err
		}
	}
	return nil
}

// String returns what a packet is, and its bytes.
func (in *input) String() string {
	side := [...]string{"rx", "tx"}[in.dir]
	text := fmt.Sprintf("%s at %d interface %d gso %d", side, in.now, in.ifindex, in.gso)
	if p, reason := readPacket(in); reason != RecordedFlow {
		text += " " + reason.String()
	} else {
		text += fmt.Sprintf(" %v flags %#x seq %d ack %d payload %d", p.key, p.flags, p.seq, p.ack, p.payload)
	}
	const shown = 160 // bytes; the seed gives the rest
	return fmt.Sprintf("%s\n\t%d bytes: %x", text, len(in.frame), in.frame[:min(len(in.frame), shown)])
}
