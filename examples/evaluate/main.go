// Command evaluate says how well attacks are found and how rarely ordinary traffic is taken for one: with captures that are
// replayed by their own time, attacks on a running gateway in network namespaces, and ordinary traffic in simulated time,
// beside what fixed limits say of the same. Read in this order: parts.go (what there is to play), play.go; then the packages
// outcome (figures and bars), fixed (the fixed limits), captures, live, simulated.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "evaluate:", err)
		os.Exit(1)
	}
}

type options struct {
	binary  string
	json    string
	only    *regexp.Regexp
	list    bool
	seed    uint64
	verbose bool
	folder  string
}

func parse(args []string) (options, error) {
	var o options
	var only string
	flags := flag.NewFlagSet("evaluate", flag.ContinueOnError)
	flags.StringVar(&o.binary, "binary", "bin/fivetuple", "the fivetuple program")
	flags.StringVar(&o.json, "json", "", "write the figures to this file, too, as JSON")
	flags.StringVar(&only, "only", "", "play only what this regular expression matches, like 'attack/slow' or '^simulated'; see --list")
	flags.BoolVar(&o.list, "list", false, "print the names of all there is to play")
	flags.Uint64Var(&o.seed, "seed", 1, "of what is drawn in the simulations")
	flags.BoolVar(&o.verbose, "v", false, "show what the agent and the runner log")
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "usage: evaluate [flags] FOLDER    (of captures, with a MANIFEST.tsv)")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() != 1 {
		return o, fmt.Errorf("%d arguments given, want one: the folder of the captures", flags.NArg())
	}
	o.folder = flags.Arg(0)
	var err error
	if o.only, err = regexp.Compile(only); err != nil {
		return o, fmt.Errorf("--only: %w", err)
	}
	return o, nil
}

// errBelow means that everything was played, and not all bars were reached.
var errBelow = errors.New("below the bars")

func run(ctx context.Context, args []string, out, log io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	all, err := parts(&o)
	if err != nil {
		return err
	}
	if o.list {
		for _, p := range all {
			fmt.Fprintln(out, p.name)
		}
		return nil
	}
	report, err := play(ctx, &o, all, log)
	if err != nil {
		return err
	}
	if err := errors.Join(report.Print(out), writeJSON(o.json, report)); err != nil {
		return err
	}
	if n := len(report.Below); n > 0 {
		return fmt.Errorf("%w: %d", errBelow, n)
	}
	return nil
}
