package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/netip"

	"github.com/spf13/cobra"

	"fivetuple/bpf"
	"fivetuple/bpf/capture"
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

// replay prints what the program makes of a capture. Packets that cannot be replayed, and those that the kernel does not take,
// are named, and make an error; so does a file that ends in the middle of a packet, after what its whole packets give.
func replay(w io.Writer, path, local string, asJSON bool) error {
	c, damage := capture.ReadFile(path)
	if len(c.Frames) == 0 {
		return errors.Join(damage, c.SkipError())
	}
	sides := capture.Initiators(c.Frames)
	if local != "" {
		prefix, err := parsePrefix(local)
		if err != nil {
			return err
		}
		sides = capture.LocalPrefix(prefix)
	}
	r, err := bpf.NewReplay(capture.Count(c.Frames))
	if err != nil {
		return err
	}
	notTaken, err := feed(r, c.Frames, sides)
	if err == nil {
		out := bufio.NewWriter(w)
		closing := closing{Frames: len(c.Frames), NotTaken: notTaken, Skipped: newSkipped(c.Skipped)}
		err = errors.Join(printRecords(out, r, asJSON), printClosing(out, r, closing, asJSON), out.Flush())
	}
	for _, n := range notTaken {
		err = errors.Join(err, fmt.Errorf("packet %d: %s", n.Packet, n.Error))
	}
	return errors.Join(err, r.Close(), c.SkipError(), damage)
}

// feed gives the frames to the program, and returns those that it could not be given.
func feed(r *bpf.Replay, frames []capture.Frame, sides *capture.Sides) ([]notTaken, error) {
	var refused []notTaken
	for _, f := range frames {
		err := r.Packet(bpf.PacketOf(f, sides.IsRX(f)))
		switch {
		case errors.Is(err, bpf.ErrNotTaken):
			refused = append(refused, notTaken{f.Number, err.Error()})
		case err != nil:
			return refused, fmt.Errorf("packet %d: %w", f.Number, err)
		}
	}
	return refused, nil
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
