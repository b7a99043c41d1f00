package main

import (
	"context"
	"errors"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"fivetuple/bpf"
	"fivetuple/conf"
)

func (a *app) newAgentCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "agent",
		Short: "Load the kernel program, attach it, and keep its tables",
		Long: "Load the kernel program, attach it to the interfaces of this network namespace, publish its tables, and\n" +
			"remove old records. Requires CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON, and CAP_SYS_ADMIN if it has to mount a BPF file system.\n\n" + signalsHelp,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.load()
			if err != nil {
				return err
			}
			log := openLog(cmd.ErrOrStderr(), c.Log)
			defer log.close()
			defer stayUp(log.Logger)()
			return runAgent(cmd.Context(), c, log.Logger)
		},
	}
}

// runAgent serves until the context ends.
func runAgent(ctx context.Context, c conf.Config, log zerolog.Logger) error {
	agent, err := bpf.Start(c.Agent, log.With().Str("part", "agent").Logger())
	if err != nil {
		return err
	}
	if err := startWatch(agent, c.Watch, log); err != nil {
		return errors.Join(err, agent.Close())
	}
	log.Info().Str("pins", c.Agent.Pins.Path).Msg("agent is ready")
	return agent.Run(ctx)
}
