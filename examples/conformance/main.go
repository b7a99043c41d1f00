// Command conformance replays a folder of captures through the kernel program, as a user would by `fivetuple replay`, and
// compares every figure of every flow with an independent reading of the same captures. Read in this order: folder.go,
// oracle.go and replay.go (what is compared), figures.go (the figures), compare.go, report.go.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

type options struct {
	binary string
	json   bool
	folder string
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("conformance", flag.ContinueOnError)
	flags.StringVar(&o.binary, "binary", "bin/fivetuple", "the fivetuple program")
	flags.BoolVar(&o.json, "json", false, "print one JSON object instead of tables")
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "usage: conformance [flags] FOLDER")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() != 1 {
		return o, fmt.Errorf("%d arguments given, want one: the folder of the captures", flags.NArg())
	}
	o.folder = flags.Arg(0)
	return o, nil
}

// errBelow means that the comparison was made and not everything is equal.
var errBelow = errors.New("not everything is equal")

func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	captures, err := findCaptures(o.folder)
	if err != nil {
		return err
	}
	total := newResult()
	for _, c := range captures {
		if err := total.add(ctx, o.binary, c); err != nil {
			return err
		}
	}
	print := total.print
	if o.json {
		print = total.printJSON
	}
	if err := print(out); err != nil {
		return err
	}
	if !total.equal() {
		return errBelow
	}
	return nil
}
