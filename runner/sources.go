package main

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/spf13/cobra"

	"fivetuple/bpf"
	"fivetuple/correlator/flow"
)

const (
	// flagFor and pardonFor are how long a person's word counts, if nothing else is said; maxHeld is the most.
	flagFor, pardonFor = 10 * time.Minute, time.Hour
	maxHeld            = 30 * 24 * time.Hour
	// manualScore, in thousandths: what a person flags is certain.
	manualScore = 1000
)

func (a *app) newSourcesCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "sources",
		Short: "List, give and take back what is held against addresses",
		Long: "List what is held against remote addresses, listeners and this host: by the agent's watcher, or by people. Wants read\n" +
			"permission on the agent's pins; flag and unflag want the agent's rights. Runners know a change within a second. What people\n" +
			"flagged or allowed outlives a restart of the agent, unless the setting agent.on_exit is remove or the agent is `run --agent`.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.listSources(cmd, asJSON)
		},
	}
	list := &cobra.Command{
		Use:   "list",
		Short: "Print what is held against whom, the highest score first",
		Args:  cobra.NoArgs,
		RunE:  cmd.RunE,
	}
	for _, c := range []*cobra.Command{cmd, list} {
		c.Flags().BoolVar(&asJSON, "json", false, "print JSON, one object a line")
	}
	cmd.AddCommand(list, a.newHoldCommand(hold{
		use: "flag", score: manualScore, stays: flagFor, short: "Hold an address's calls to be abnormal, with the score 1",
	}), a.newHoldCommand(hold{
		use: "unflag", score: 0, stays: pardonFor, short: "Take back what is held against an address, and let the watcher hold nothing against it",
	}))
	return cmd
}

// hold is one of the two commands that write a verdict.
type hold struct {
	use, short string
	score      uint16
	stays      time.Duration
}

func (a *app) newHoldCommand(h hold) *cobra.Command {
	stays := h.stays
	cmd := &cobra.Command{
		Use:   h.use + " ADDRESS",
		Short: h.short,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := parseSource(args[0])
			if err != nil {
				return err
			}
			if stays < time.Second || stays > maxHeld {
				return fmt.Errorf("--for: %v is not in %v..%v", stays, time.Second, maxHeld)
			}
			c, err := a.load()
			if err != nil {
				return err
			}
			if err := putVerdict(c.Agent.Pins.Path, key, h.score, stays); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %sged for %v\n", addressOf(key), h.use, stays)
			return err
		},
	}
	cmd.Flags().DurationVar(&stays, "for", h.stays, "how long it counts, 1s to 720h")
	return cmd
}

// putVerdict writes a person's word into the table of a living or a gone agent.
func putVerdict(pins string, key flow.VerdictKey, score uint16, stays time.Duration) error {
	clock, err := bpf.NewClock()
	if err != nil {
		return err
	}
	table, err := bpf.OpenVerdicts(pins, true)
	if err != nil {
		return err
	}
	now := clock.Now()
	err = table.Put(key, flow.Verdict{Since: now, Expires: now + uint64(stays), Score: score, Origin: flow.OriginManual})
	return errors.Join(err, table.Close())
}

// parseSource reads an address; IPv4 is kept v4-mapped, as in the tables.
func parseSource(text string) (flow.VerdictKey, error) {
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" || addr.IsUnspecified() {
		return flow.VerdictKey{}, fmt.Errorf("%q is not an address of a host, like 192.0.2.7 or 2001:db8::7", text)
	}
	return flow.VerdictKey{Address: addr.As16(), Kind: flow.VerdictSource}, nil
}

// addressOf returns what a verdict is on, as people write it.
func addressOf(k flow.VerdictKey) string {
	addr := netip.AddrFrom16(k.Address).Unmap()
	switch kindOf(k) {
	case "host":
		return "-"
	case "listener":
		return netip.AddrPortFrom(addr, k.Port).String()
	}
	return addr.String()
}
