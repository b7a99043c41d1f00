// Command smoke runs the Compose stack of this folder as it ships, by Docker Compose and podman, in namespaces of its own, where
// nothing is left when it ends. It makes calls, compares them with a capture, restarts and kills every part, and prints how long it takes
// until calls are enriched again and what is left behind. Read in this order: isolate.go (the namespaces), images.go (what is run
// in place of images of a registry), podman.go and project.go (how it is run), breaks.go (what is done to it), checks.go (what must
// hold).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "compose-smoke:", err)
		os.Exit(1)
	}
}

type options struct {
	repository string // absolute path
	bin        string // absolute path of the folder with docker-compose and apisix-standin
	version    string
	rounds     int
	verbose    bool
	inside     string // the folder of the process in the namespaces; empty: the one that makes them
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("compose-smoke", flag.ContinueOnError)
	flags.StringVar(&o.repository, "repository", ".", "the repository's folder")
	flags.StringVar(&o.bin, "bin", "bin", "the folder with docker-compose and apisix-standin")
	flags.StringVar(&o.version, "version", "dev", "the image's version")
	flags.IntVar(&o.rounds, "rounds", 1, "how often each part is restarted and killed")
	flags.BoolVar(&o.verbose, "v", false, "print what Docker Compose prints")
	flags.StringVar(&o.inside, "inside", "", "for the program itself")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 || o.rounds < 1 {
		return o, fmt.Errorf("want no argument and at least one round, not %q and %d", flags.Args(), o.rounds)
	}
	for _, path := range []*string{&o.repository, &o.bin} {
		var err error
		if *path, err = filepath.Abs(*path); err != nil {
			return o, err
		}
	}
	return o, nil
}

func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	if o.inside == "" {
		return isolate(ctx, args, out)
	}
	if err := settle(o.inside); err != nil {
		return err
	}
	return smoke(ctx, o, out)
}
