package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"fivetuple/conf"
	"fivetuple/runner/printable"
	"fivetuple/runner/switches"
)

// seenWithin is how long a runner may take to see a change: it looks twice a second.
const seenWithin = 1500 * time.Millisecond

// errRouteArgs means that the words behind `route` are no command.
var errRouteArgs = errors.New("want: route ID off, route ID on, or route list [--json]")

func (a *app) newRouteCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "route ID off|on | route list [--json]",
		Short: "Switch fivetuple off or on for a route's calls, at run time",
		Long: "Switch fivetuple's plugins off or on for a route's calls, by its id in APISIX; the id global stands for all\n" +
			"global rules. Calls of a route that is off go on with no change at all. The runner sees a change within a second,\n" +
			"APISIX is not reloaded, and the file (the setting runner.switches) is kept over restarts. `route list` prints what\n" +
			"is off.\n\n" +
			"`route ID off` also asks the runner (metrics.listen) whether it has seen the route, and prints a note if it has not: the id may be\n" +
			"wrong, or no call of the route has come since the runner started. The route is switched off all the same, before its first\n" +
			"call. Whether APISIX has a route with the id is not looked at.",
		DisableFlagsInUseLine: true,
		Args: func(_ *cobra.Command, args []string) error {
			if isList(args) || !asJSON && len(args) == 2 && (args[1] == "off" || args[1] == "on") {
				return nil
			}
			return fmt.Errorf("%w; not %q", errRouteArgs, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.load()
			if err != nil {
				return err
			}
			if isList(args) {
				return listRoutes(cmd.OutOrStdout(), cmd.ErrOrStderr(), c.Runner.Switches, asJSON)
			}
			return switchRoute(cmd.Context(), cmd.OutOrStdout(), c, args[0], args[1])
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the list as JSON")
	return cmd
}

func isList(args []string) bool { return len(args) == 1 && args[0] == "list" }

// switchRoute changes the file, and says what it did, whether a runner has taken it, and whether the runner knows the route.
func switchRoute(ctx context.Context, out io.Writer, c conf.Config, id, to string) error {
	path := c.Runner.Switches
	_, changed, err := switches.Change(ctx, path, id, to == "off")
	if err != nil {
		return err
	}
	is, already := "is", " already"
	if id == switches.Global {
		is = "are"
	}
	if changed {
		already = ""
	}
	if _, err := fmt.Fprintf(out, "%s %s %s%s, in %s\n", name(id), is, to, already, path); err != nil {
		return err
	}
	within, cancel := context.WithTimeout(ctx, seenWithin)
	defer cancel()
	followed, err := switches.WaitFollowed(within, path)
	if _, err := fmt.Fprintln(out, seenBy(followed, err)); err != nil || to != "off" || !followed {
		return err
	}
	if note := neverSeen(ctx, c.Metrics.Listen, id); note != "" {
		_, err = fmt.Fprintln(out, note)
		return err
	}
	return nil
}

// shownRoutes is how many of the routes that a runner has seen are shown.
const shownRoutes = 10

// neverSeen returns a note about a route that the runner has not seen; "" if it has, or has had no room for all that it has seen.
func neverSeen(ctx context.Context, listen, id string) string {
	if listen == "" {
		return "whether it has seen the route is not known: the setting metrics.listen is empty"
	}
	var a routesAnswer
	if err := ask(ctx, listen, "/routes", &a); err != nil {
		return "whether it has seen the route is not known: " + err.Error()
	}
	if slices.Contains(a.Seen, id) || !a.All {
		return ""
	}
	note := fmt.Sprintf("the runner at %s has not seen %s since it started", listen, name(id))
	if len(a.Seen) > 0 {
		note += "; it has seen " + printable.String(strings.Join(a.Seen[:min(len(a.Seen), shownRoutes)], ", "))
	}
	if more := len(a.Seen) - shownRoutes; more > 0 {
		note += fmt.Sprintf(" and %d more", more)
	}
	return note
}

// name returns what an id stands for.
func name(id string) string {
	if id == switches.Global {
		return "global rules"
	}
	return "route " + printable.String(id)
}

// seenBy tells people what is known of runners. The switch is set, whatever that is.
func seenBy(followed bool, err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "there is no such file, so that nothing is off"
	case err != nil:
		return "whether a runner has taken the file is not known: " + err.Error()
	case followed:
		return "a runner has taken the file: it is in force there"
	}
	return "no runner has taken the file: none is running, or with another setting runner.switches, or without the right to read it"
}

// routeList is what `route list --json` prints.
type routeList struct {
	File   string   `json:"file"`
	Off    []string `json:"off"`
	Runner bool     `json:"runner"` // one has taken the file as it is
}

// listRoutes prints what is off, one id a line, and says aside where that stands.
func listRoutes(out, aside io.Writer, path string, asJSON bool) error {
	set, err := switches.Read(path)
	if err != nil {
		return err
	}
	followed, followedErr := switches.Followed(path)
	if asJSON {
		list := routeList{File: path, Off: set.IDs(), Runner: followed}
		if list.Off == nil {
			list.Off = []string{}
		}
		return printable.NewEncoder(out).Encode(list)
	}
	for _, id := range set.IDs() {
		if _, err := fmt.Fprintln(out, id); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(aside, "%d off, in %s; %s\n", set.Len(), path, seenBy(followed, followedErr))
	return err
}
