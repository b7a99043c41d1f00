package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net/netip"
	"slices"

	"fivetuple/bpf"
	"fivetuple/bpf/capture"
	"fivetuple/correlator/flow"
	"fivetuple/runner/printable"
)

// closing is the last object printed.
type closing struct {
	Reasons  map[string]uint64 `json:"reasons"` // how the packets left the program, both directions together
	Frames   int               `json:"frames"`  // packets that were read
	NotTaken []notTaken        `json:"not_taken,omitempty"`
	Skipped  []skipped         `json:"skipped,omitempty"`
}

// skipped are packets of the file that cannot be replayed, for one reason.
type skipped struct {
	First int    `json:"first"` // numbers in the file, from 1
	Last  int    `json:"last"`
	Count int    `json:"count"`
	Error string `json:"error"`
}

func newSkipped(all []capture.Skipped) (out []skipped) {
	for _, s := range all {
		out = append(out, skipped{s.First, s.Last, s.Count, s.Err.Error()})
	}
	return out
}

// notTaken is a packet that the kernel refused to run the program on.
type notTaken struct {
	Packet int    `json:"packet"` // from 1, in the file
	Error  string `json:"error"`
}

// printRecords prints the flows in the order of their first packets.
func printRecords(w io.Writer, r *bpf.Replay, asJSON bool) error {
	type entry struct {
		id  uint64
		key flow.Key
		replayed
	}
	var all []entry
	if err := r.Each(func(g *bpf.Generation) {
		all = append(all, entry{g.Record.Conn.ID, g.Key, newReplayed(g)})
	}); err != nil {
		return err
	}
	slices.SortStableFunc(all, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.id, b.id), cmp.Compare(a.key.RemotePort, b.key.RemotePort),
			bytes.Compare(a.key.Remote[:], b.key.Remote[:]))
	})
	encoder := printable.NewEncoder(w)
	for _, e := range all {
		if asJSON {
			if err := encoder.Encode(e.replayed); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintf(w, "%s %v <- %v  %s  rx %d packets %d bytes  tx %d packets %d bytes  exchanges %d  retransmitted %d/%d\n",
			e.Proto, netip.AddrPortFrom(e.Local, e.LocalPort), netip.AddrPortFrom(e.Remote, e.RemotePort), e.State,
			e.RX.Packets, e.RX.Bytes, e.TX.Packets, e.TX.Bytes, e.Exchanges, e.RX.Retransmitted, e.TX.Retransmitted)
	}
	return nil
}

// printClosing adds the reasons and prints the object.
func printClosing(w io.Writer, r *bpf.Replay, c closing, asJSON bool) error {
	counts, err := r.Reasons()
	if err != nil {
		return err
	}
	c.Reasons = make(map[string]uint64)
	for dir := range counts {
		for reason, n := range counts[dir] {
			if n > 0 {
				c.Reasons[bpf.Reason(reason).String()] += n
			}
		}
	}
	if asJSON {
		return printable.NewEncoder(w).Encode(c)
	}
	for reason := range bpf.Reason(len(counts[0])) {
		if n := c.Reasons[reason.String()]; n > 0 {
			fmt.Fprintf(w, "%-22s %d\n", reason, n)
		}
	}
	return nil
}
