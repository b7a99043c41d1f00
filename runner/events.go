package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"fivetuple/conf"
	"fivetuple/correlator/fleet"
)

// maxSince is how far back events are asked for at most: none is kept for longer.
const maxSince = 24 * time.Hour

// errEventsSkipped means that there were events that could not be read.
var errEventsSkipped = errors.New("events were passed over")

// eventSource is where events come from. It hands over entries in the order of their time, each gateway's by their ids, since
// so long ago by the source's clock, of one gateway or (empty) of all, until take fails or there is no more; to follow is to
// go on with what is added until the context ends, which is no error.
type eventSource interface {
	Events(ctx context.Context, since time.Duration, gateway string, follow bool, take func(gateway, id string, value []byte) error) error
	Close() error
}

// eventsQuery is what `fivetuple events` was asked for.
type eventsQuery struct {
	since          time.Duration
	route, gateway string
	follow, asJSON bool
	anyway         bool // of any route, and of none
}

// newEventsCommand returns the command, by how its source is opened.
func (a *app) newEventsCommand(open func(context.Context, conf.Config) (eventSource, error)) *cobra.Command {
	var q eventsQuery
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Print what gateways have flagged, and what was noticed about them",
		Long: "Print the events of the fleet's gateways from Redis (the setting redis.addresses), the oldest first: calls and sources that\n" +
			"were flagged, baselines that were replaced, two gateways of one name, two fleets of one name. Times are Redis'. Entries\n" +
			"that are damaged, or of another version, are named and passed over, and make the command fail.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q.anyway = !cmd.Flags().Changed("route")
			if err := q.validate(); err != nil {
				return err
			}
			c, err := a.load()
			if err != nil {
				return err
			}
			source, err := open(cmd.Context(), c)
			if err != nil {
				return err
			}
			return errors.Join(printEvents(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), source, q), source.Close())
		},
	}
	cmd.Flags().BoolVar(&q.follow, "follow", false, "go on with what is added, until interrupted")
	cmd.Flags().DurationVar(&q.since, "since", time.Hour, "how far back to begin, 0s to 24h")
	cmd.Flags().StringVar(&q.route, "route", "", "only events of the route with this id; global: of global rules")
	cmd.Flags().StringVar(&q.gateway, "gateway", "", "only events of this gateway")
	cmd.Flags().BoolVar(&q.asJSON, "json", false, "print JSON, one object a line")
	return cmd
}

func (q *eventsQuery) validate() error {
	if q.since < 0 || q.since > maxSince {
		return fmt.Errorf("--since: %v is not in 0s..%v", q.since, maxSince)
	}
	if q.gateway != "" {
		if err := fleet.ValidName(q.gateway); err != nil {
			return fmt.Errorf("--gateway: %w", err)
		}
	}
	return nil
}

// printEvents prints the events that were asked for, and names aside what cannot be read.
func printEvents(ctx context.Context, out, aside io.Writer, source eventSource, q eventsQuery) error {
	buffered := bufio.NewWriter(out)
	if !q.follow {
		out = buffered
	}
	printer := eventPrinter{out: out, asJSON: q.asJSON}
	skipped := 0
	err := source.Events(ctx, q.since, q.gateway, q.follow, func(gateway, id string, value []byte) error {
		e, err := newEventLine(gateway, id, value)
		if err != nil {
			skipped++
			fmt.Fprintln(aside, err)
			return nil
		}
		if !q.anyway && e.Route != q.route {
			return nil
		}
		return printer.print(e)
	})
	err = errors.Join(err, buffered.Flush())
	if skipped > 0 {
		err = errors.Join(err, fmt.Errorf("%w: %d", errEventsSkipped, skipped))
	}
	return err
}
