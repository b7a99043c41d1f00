package main

import (
	"bufio"
	"cmp"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"

	"github.com/spf13/cobra"

	"fivetuple/bpf"
	"fivetuple/bpf/capture"
	"fivetuple/correlator/flow"
)

func newReplayCommand() *cobra.Command {
	var local string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "replay FILE",
		Short: "Feed a capture through the kernel program and print its records",
		Long: "Feed a capture (pcap or pcapng) through the kernel program, with the capture's times, and print the record of each\n" +
			"flow. Without --local the side that was called is the local one, flow by flow. Nothing is attached. Wants the\n" +
			"agent's rights.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return replay(cmd.OutOrStdout(), args[0], local, asJSON)
		},
	}
	cmd.Flags().StringVar(&local, "local", "", "the local side's address or net (CIDR)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, one object a line")
	return cmd
}

// replay prints what the program makes of a capture. Packets that the kernel does not take are named, and make an error.
func replay(w io.Writer, path, local string, asJSON bool) error {
	frames, err := capture.ReadFile(path)
	if err != nil {
		return err
	}
	sides := capture.Initiators(frames)
	if local != "" {
		prefix, err := parsePrefix(local)
		if err != nil {
			return err
		}
		sides = capture.LocalPrefix(prefix)
	}
	r, err := bpf.NewReplay(len(frames))
	if err != nil {
		return err
	}
	var notTaken []error
	for _, f := range frames {
		if err := r.Packet(f.Data, sides.IsRX(f), f.Time); err != nil {
			notTaken = append(notTaken, fmt.Errorf("packet %d: %w", f.Number, err))
		}
	}
	out := bufio.NewWriter(w)
	err = errors.Join(printRecords(out, r, asJSON), printReasons(out, r, asJSON), out.Flush(), r.Close())
	return errors.Join(err, errors.Join(notTaken...))
}

// parsePrefix reads a net, or an address, which is a net of one.
func parsePrefix(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("--local: %q is neither an address nor a net: %w", text, err)
	}
	return prefix.Masked(), nil
}

// replayed is a flow as it is printed. Times are microseconds, negative ones were captured in the wrong order; bytes are IP
// bytes.
type replayed struct {
	Proto        string          `json:"proto"`
	Local        netip.Addr      `json:"local"`
	LocalPort    uint16          `json:"local_port"`
	Remote       netip.Addr      `json:"remote"`
	RemotePort   uint16          `json:"remote_port"`
	State        string          `json:"state"`
	RX           replayedSide    `json:"rx"`
	TX           replayedSide    `json:"tx"`
	Handshake    replayedTimes   `json:"handshake"`
	RTT          replayedRTT     `json:"rtt"`
	SYN          replayedSYN     `json:"syn"`
	Exchanges    uint32          `json:"exchanges"`
	FirstPayload replayedPayload `json:"first_payload"`
}

type replayedSide struct {
	Packets       uint64 `json:"packets"`
	Bytes         uint64 `json:"bytes"`
	PayloadBytes  uint64 `json:"payload_bytes"`
	Flags         uint16 `json:"flags"`
	Retransmitted uint32 `json:"retransmitted"`
	OutOfOrder    uint32 `json:"out_of_order"`
	ZeroWindow    uint32 `json:"zero_window"`
	KeepAlive     uint32 `json:"keep_alive"`
}

type replayedTimes struct {
	SYNToSYNACK *float64 `json:"syn_to_synack_us"` // null: one of the two was not seen
	SYNACKToACK *float64 `json:"synack_to_ack_us"`
}

type replayedRTT struct {
	Min      uint32 `json:"min_us"`
	Smoothed uint32 `json:"smoothed_us"`
}

type replayedSYN struct {
	MSS        uint16 `json:"mss"`
	Wscale     *uint8 `json:"wscale"` // null: no such option
	SACK       bool   `json:"sack"`
	Timestamps bool   `json:"timestamps"`
	TTL        uint8  `json:"ttl"`
}

type replayedPayload struct {
	RX string `json:"rx"`
	TX string `json:"tx"`
}

func newReplayed(k flow.Key, r *flow.Record) replayed {
	c := &r.Conn
	rx, tx := &c.Dir[flow.RX], &c.Dir[flow.TX]
	out := replayed{
		Proto: "tcp", State: c.State.String(),
		Local: k.LocalAddr().Addr(), LocalPort: k.LocalPort, Remote: k.RemoteAddr().Addr(), RemotePort: k.RemotePort,
		RX: newReplayedSide(rx), TX: newReplayedSide(tx),
		Handshake:    replayedTimes{between(c.SYN, c.SYNACK), between(c.SYNACK, c.ACK)},
		RTT:          replayedRTT{Min: r.RTT.MinUS, Smoothed: r.RTT.SmoothedUS8 / 8},
		Exchanges:    r.Exchange,
		FirstPayload: replayedPayload{hex.EncodeToString(rx.First()), hex.EncodeToString(tx.First())},
	}
	if k.Proto == flow.UDP {
		out.Proto = "udp"
	}
	if syn := rx; syn.Known&flow.KnownISN != 0 {
		out.SYN = replayedSYN{
			MSS: syn.SYNMSS, TTL: syn.TTL,
			SACK: syn.SYNOptions&flow.SYNSACK != 0, Timestamps: syn.SYNOptions&flow.SYNTimestamps != 0,
		}
		if syn.SYNOptions&flow.SYNWscale != 0 {
			out.SYN.Wscale = &syn.SYNWscale
		}
	}
	return out
}

func newReplayedSide(d *flow.Direction) replayedSide {
	return replayedSide{
		Packets: d.Packets, Bytes: d.Bytes, PayloadBytes: d.Payload, Flags: d.Flags, Retransmitted: d.Retransmitted,
		OutOfOrder: d.OutOfOrder, ZeroWindow: d.ZeroWindow, KeepAlive: d.KeepAlive,
	}
}

// between returns the microseconds from one moment to another, both in nanoseconds; nil if one was not seen.
func between(from, to uint64) *float64 {
	if from == 0 || to == 0 {
		return nil
	}
	us := float64(int64(to-from)) / 1000
	return &us
}

// printRecords prints the flows in the order of their first packets.
func printRecords(w io.Writer, r *bpf.Replay, asJSON bool) error {
	type entry struct {
		id uint64
		replayed
	}
	var all []entry
	if err := r.Each(func(k flow.Key, record *flow.Record) {
		all = append(all, entry{record.Conn.ID, newReplayed(k, record)})
	}); err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b entry) int { return cmp.Compare(a.id, b.id) })
	encoder := json.NewEncoder(w)
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

// printReasons prints how the packets left the program, both directions together.
func printReasons(w io.Writer, r *bpf.Replay, asJSON bool) error {
	counts, err := r.Reasons()
	if err != nil {
		return err
	}
	reasons := make(map[string]uint64)
	for dir := range counts {
		for reason, n := range counts[dir] {
			if n > 0 {
				reasons[bpf.Reason(reason).String()] += n
			}
		}
	}
	if asJSON {
		return json.NewEncoder(w).Encode(map[string]any{"reasons": reasons})
	}
	for reason := range bpf.Reason(len(counts[0])) {
		if n := reasons[reason.String()]; n > 0 {
			fmt.Fprintf(w, "%-22s %d\n", reason, n)
		}
	}
	return nil
}
