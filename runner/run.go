package main

import (
	"context"
	"errors"
	"sync"

	"github.com/spf13/cobra"

	"fivetuple/bpf"
	"fivetuple/conf"
	"fivetuple/correlator"
	"fivetuple/plugins"
	"fivetuple/runner/metrics"
	"fivetuple/runner/server"
)

func (a *app) newRunCommand() *cobra.Command {
	var withAgent, takeOver bool
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Serve APISIX as its plugin runner",
		Long: "Serve APISIX as its plugin runner, on the unix socket that APISIX_LISTEN_ADDRESS=unix:PATH or the setting\n" +
			"runner.socket names. Wants no capability: only read permission on the agent's pins.\n\n" + signalsHelp,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.load()
			if err != nil {
				return err
			}
			log := openLog(cmd.ErrOrStderr(), c.Log)
			defer log.close()
			defer stayUp(log.Logger)()
			if withAgent {
				return runBoth(cmd.Context(), c, log)
			}
			return runRunner(cmd.Context(), c, role{takesOver: takeOver}, log)
		},
	}
	cmd.Flags().BoolVar(&withAgent, "agent", false, "be the agent, too: a quick start on one host. When it ends it leaves nothing in the kernel:\n"+
		"what people flagged or allowed (fivetuple sources) is gone, too")
	cmd.Flags().BoolVar(&takeOver, "take-over", false, "take the place of the runner that serves the socket, without losing a call;\n"+
		"start as usual if there is none")
	cmd.MarkFlagsMutuallyExclusive("agent", "take-over")
	return cmd
}

// runBoth is the agent and the runner in one process; when one of them ends, both do.
func runBoth(ctx context.Context, c conf.Config, log serviceLog) error {
	// A quick start leaves nothing behind, whatever agent.on_exit says: a program that counts for nobody, in tables without an agent, would
	// be found by the next one who looks for what slows the host down. People's flags and allow entries lie in these tables.
	c.Agent.OnExit = bpf.ExitRemove
	agent, err := bpf.Start(c.Agent, log.With().Str("part", "agent").Logger())
	if err != nil {
		return err
	}
	if err := startWatch(agent, c.Watch, log.Logger); err != nil {
		return errors.Join(err, agent.Close())
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	var agentErr error
	wg.Go(func() {
		defer stop()
		agentErr = agent.Run(ctx)
	})
	err = runRunner(ctx, c, role{stays: true}, log) // whoever took the runner's place would lose the agent's tables
	stop()
	wg.Wait()
	return errors.Join(err, agentErr)
}

// runRunner serves until the context ends, or another process takes over.
func runRunner(ctx context.Context, c conf.Config, r role, events serviceLog) error {
	log := events.Logger
	clock, err := bpf.NewClock()
	if err != nil {
		return err
	}
	reader, err := bpf.NewReader(c.Agent.Pins.Path, c.Correlator.Stale, clock)
	if err != nil {
		return err
	}
	warnOfFolders(log, c.Calls.File, c.Baseline.File, c.Runner.Switches)
	available := newRecords(func() metrics.Readiness { return readinessOf(reader.State(), c.Agent.Interfaces) }, log)
	sources := new(correlator.SourceList)
	learned := newBaselines(c.Baseline, clock.Now, log)
	defer learned.close() // after the last records
	figures := newFigures(c)
	shared, err := joinFleet(c, learned, figures, clock.Now, log)
	if err != nil {
		return err
	}
	last := make(chan struct{})
	defer close(last)
	defer shared.end() // after the last records
	out := newOutput(c, clock, figures, shared.tellCall, log)
	defer out.close(log)
	cor, err := correlator.New(out.table(reader), c.Correlator, out.sink(), &correlator.Judge{
		Baselines: learned, Sources: sources, FlagAbove: c.Signals.FlagAbove,
	})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx) // also when nobody ended it: another process took over, or there is nothing to serve on
	defer stop()
	shared.start(ctx, out.registry, sources)
	go followVerdicts(ctx, c.Agent.Pins.Path, clock.Now, sources, shared.verdicts(log), log)
	metrics.RegisterBaselines(out.registry, learned.Counters)
	metrics.RegisterEvents(out.registry, events.lines.lost.Load)
	learned.start(ctx)
	out.start(ctx, cor, available, metrics.Place{Address: c.Metrics.Listen, Hosts: c.Metrics.Hosts}, log)
	return serve(ctx, c.Runner, r, place{shared, last}, server.Options{
		Plugins: plugins.All(plugins.Deps{
			Correlator: cor, Tuple: c.Correlator.Tuple, Now: clock.Now, Counters: out.counters, Path: out.path(c.Calls),
			Log: log.With().Str("part", "plugins").Logger(),
		}),
		Stats: out.stats, Seen: out.seen, Status: available.status,
	}, log)
}
