package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"fivetuple/conf"
)

// configVariable names the environment variable with the default of --config. In a container it gives every command that is
// executed there the settings of the container's own process.
const configVariable = "FIVETUPLE_CONFIG"

// app is what all commands share.
type app struct {
	configFile string
	// openFleet returns how the other gateways' flags are seen; nil where the settings share no verdicts.
	openFleet func(context.Context, conf.Config) (*fleetView, error)
}

func newRootCommand() *cobra.Command {
	a := app{openFleet: viewFleet}
	root := &cobra.Command{
		Use:           "fivetuple",
		Short:         "What the network did to every API call: kernel records for Apache APISIX",
		SilenceErrors: true, // main prints them
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
	}
	root.PersistentFlags().StringVar(&a.configFile, "config", os.Getenv(configVariable), "settings that differ from the defaults (fivetuple.yaml)")
	root.AddCommand(a.newAgentCommand(), a.newRunCommand(), a.newRouteCommand(), a.newCallsCommand(), a.newSourcesCommand(), a.newReportCommand(), a.newEventsCommand(openEvents), a.newHealthCommand(), a.newQuotaCommand(), newReplayCommand(), newVersionCommand())
	return root
}

// load reads the settings.
func (a *app) load() (conf.Config, error) { return conf.Load(a.configFile) }
