package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/spf13/cobra"

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
			"is off. Whether APISIX has a route with the id is not looked at.",
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
			return switchRoute(cmd.Context(), cmd.OutOrStdout(), c.Runner.Switches, args[0], args[1])
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the list as JSON")
	return cmd
}

func isList(args []string) bool { return len(args) == 1 && args[0] == "list" }

// switchRoute changes the file, and says what it did and whether a runner has seen it.
func switchRoute(ctx context.Context, out io.Writer, path, id, to string) error {
	_, changed, err := switches.Change(ctx, path, id, to == "off")
	if err != nil {
		return err
	}
	what, already := "route "+id+" is ", " already"
	if id == switches.Global {
		what = "global rules are "
	}
	if changed {
		already = ""
	}
	if _, err := fmt.Fprintf(out, "%s%s%s, in %s\n", what, to, already, path); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, seenWithin)
	defer cancel()
	followed, err := switches.WaitFollowed(ctx, path)
	_, printErr := fmt.Fprintln(out, seenBy(followed, err))
	return printErr
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
		return json.NewEncoder(out).Encode(list)
	}
	for _, id := range set.IDs() {
		if _, err := fmt.Fprintln(out, id); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(aside, "%d off, in %s; %s\n", set.Len(), path, seenBy(followed, followedErr))
	return err
}
