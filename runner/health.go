package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"fivetuple/bpf"
	"fivetuple/conf"
	"fivetuple/runner/metrics"
	"fivetuple/runner/printable"
	"fivetuple/runner/server"
)

var (
	// errNobodyToAsk means that the settings name no place where a runner answers.
	errNobodyToAsk = errors.New("no runner to ask: name its socket (--socket, the setting runner.socket or APISIX_LISTEN_ADDRESS), " +
		"or switch its metrics on (metrics.listen)")
	errUnhealthy = errors.New("unhealthy")
)

// reasonNoAnswer is why a runner is not ready that does not say so itself.
const reasonNoAnswer = "no-answer"

// health is what `fivetuple health` was asked for.
type health struct {
	socket        string
	ready, asJSON bool
}

func (a *app) newHealthCommand() *cobra.Command {
	var h health
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Check a running runner or agent: exit status 0 or 1, and one line of text",
		Long: "Check a running runner or agent, for containers' health checks: the image has no shell. The exit status is 0 if it is\n" +
			"healthy and 1 if not, or if it does not answer within two seconds.",
		Args: cobra.NoArgs,
	}
	cmd.PersistentFlags().BoolVar(&h.asJSON, "json", false, "print what /readyz serves, in one line")
	runner := &cobra.Command{
		Use:   "runner",
		Short: "Check the runner: whether it answers, and whether it has records",
		Long: "Check the runner: ask it on the socket that APISIX calls. Where no socket is known, ask it for /readyz (metrics.listen).\n" +
			"A runner without records is healthy, because calls go on and a restart of the runner brings no records; with --ready it is\n" +
			"not. The line says why there are none: pins, layout, stale, or blind (the agent watches no interface but the loopback).",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.load()
			if err != nil {
				return err
			}
			return h.runner(cmd.Context(), cmd.OutOrStdout(), c)
		},
	}
	runner.Flags().BoolVar(&h.ready, "ready", false, "fail, too, if the runner has no records")
	runner.Flags().StringVar(&h.socket, "socket", "", "path of the runner's socket, instead of the settings'")
	agent := &cobra.Command{
		Use:   "agent",
		Short: "Check the agent by what it publishes in its tables",
		Long: "Check the agent by what it publishes in its tables (agent.pins.path): its last heartbeat must not be older than\n" +
			"correlator.stale, and it must watch another interface than the loopback. Requires read permission on the pins.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.load()
			if err != nil {
				return err
			}
			return h.agent(cmd.OutOrStdout(), c)
		},
	}
	cmd.AddCommand(runner, agent)
	return cmd
}

func (h health) runner(ctx context.Context, out io.Writer, c conf.Config) error {
	r, err := h.askRunner(ctx, c)
	if err != nil {
		r = metrics.Readiness{Reason: reasonNoAnswer, Error: err.Error()}
	}
	return h.print(out, "runner", &r, h.ready || err != nil)
}

// askRunner asks the runner on its socket, or by its metrics' port if no socket is known.
func (h health) askRunner(ctx context.Context, c conf.Config) (r metrics.Readiness, err error) {
	path := h.socket
	if path == "" {
		path, err = socketPath(c.Runner, nil)
	}
	switch {
	case err == nil:
		ctx, cancel := context.WithTimeout(ctx, askTime)
		defer cancel()
		var text []byte
		if text, err = server.AskStatus(ctx, path); err == nil {
			err = json.Unmarshal(text, &r)
		}
	case c.Metrics.Listen != "":
		err = ask(ctx, c.Metrics.Listen, "/readyz", &r)
	default:
		err = errNobodyToAsk
	}
	if err == nil && r.Ready && (r.HeartbeatAge == nil || r.Interfaces == nil) {
		err = errNoAnswer
	}
	return r, err
}

func (h health) agent(out io.Writer, c conf.Config) error {
	clock, err := bpf.NewClock()
	if err != nil {
		return err
	}
	reader, err := bpf.NewReader(c.Agent.Pins.Path, c.Correlator.Stale, clock)
	if err != nil {
		return err
	}
	r := readinessOf(reader.State(), c.Agent.Interfaces)
	return h.print(out, "agent", &r, true)
}

// print prints readiness. Without records, a process is unhealthy if records are what it is checked for.
func (h health) print(out io.Writer, who string, r *metrics.Readiness, needsRecords bool) error {
	isHealthy := r.Ready || !needsRecords
	var err error
	switch {
	case h.asJSON:
		err = printable.NewEncoder(out).Encode(r)
	case r.Ready:
		_, err = fmt.Fprintf(out, "%s is healthy: heartbeat %.1f s ago, %d interfaces\n", who, *r.HeartbeatAge, *r.Interfaces)
	case isHealthy:
		_, err = fmt.Fprintf(out, "%s is healthy, without records: %s: %s\n", who, r.Reason, r.Error)
	}
	if !isHealthy {
		err = errors.Join(err, fmt.Errorf("%s is %w: %s: %s", who, errUnhealthy, r.Reason, r.Error))
	}
	return err
}
