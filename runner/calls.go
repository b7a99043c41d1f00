package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"fivetuple/runner/calls"
	"fivetuple/runner/printable"
)

var (
	// errDamaged means that lines of the log were passed over.
	errDamaged = errors.New("lines of the log are damaged, and were passed over")
	// errNoLog means that there is no log of calls to read.
	errNoLog = errors.New("the setting calls.file is empty: name a log by --file")
)

// callsQuery is what `fivetuple calls` was asked for.
type callsQuery struct {
	file, route            string
	follow, asJSON, anyway bool // anyway: of any route
}

func (a *app) newCallsCommand() *cobra.Command {
	var q callsQuery
	cmd := &cobra.Command{
		Use:   "calls",
		Short: "Print the log of calls: where each one's time went",
		Long: "Print the log of calls (the setting calls.file, with its rotated files, the oldest first): a table for people, or the\n" +
			"lines as they are but for escapes of what is not printable (--json). Times are milliseconds: the whole, and its parts in\n" +
			"their order. Damaged lines are named and passed over, and make the command fail.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if q.file == "" {
				c, err := a.load()
				if err != nil {
					return err
				}
				if q.file = c.Calls.File; q.file == "" {
					return errNoLog
				}
			}
			q.anyway = !cmd.Flags().Changed("route")
			return printCalls(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), q)
		},
	}
	cmd.Flags().BoolVar(&q.follow, "follow", false, "go on with what is added, also over logrotate's rename or copytruncate, until interrupted")
	cmd.Flags().StringVar(&q.route, "route", "", "only calls of the route with this id; global: of global rules")
	cmd.Flags().BoolVar(&q.asJSON, "json", false, "print the lines as they are")
	cmd.Flags().StringVar(&q.file, "file", "", "another log than the setting's")
	return cmd
}

// printCalls prints the calls that were asked for, and names damaged lines aside.
func printCalls(ctx context.Context, out, aside io.Writer, q callsQuery) error {
	damaged := 0
	buffered := bufio.NewWriter(out)
	if !q.follow {
		out = buffered
	}
	table, lines := callTable{out: out}, printable.NewJSONWriter(out)
	reader := calls.NewReader(func(l *calls.Line) error {
		switch {
		case !q.anyway && l.Route != q.route:
			return nil
		case q.asJSON:
			_, err := fmt.Fprintf(lines, "%s\n", l.Text)
			return err
		}
		return table.print(l)
	}, func(err error) {
		if errors.Is(err, calls.ErrDamaged) {
			damaged++
		}
		fmt.Fprintln(aside, err)
	})
	var err error
	if q.follow {
		err = reader.Follow(ctx, q.file)
	} else {
		err = errors.Join(reader.Read(q.file), buffered.Flush())
	}
	if damaged > 0 {
		err = errors.Join(err, fmt.Errorf("%w: %d", errDamaged, damaged))
	}
	return err
}
