// Command kernels boots Debian's kernels in qemu and runs the project's own checks inside: whether the committed programs
// load with each set of capabilities, replays against independent figures, the tests of the kernel part, and the demo.
// Read in this order: archive.go (which kernels), kernel.go (what a package brings), image.go (what the guest runs from),
// checks.go (what is run), machine.go (one boot), guest (the guest's first process), table.go (what is printed).
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
	"regexp"
	"sync"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "kernels:", err)
		os.Exit(1)
	}
}

type options struct {
	cache   string
	bin     string
	pcaps   string
	only    *regexp.Regexp
	checks  *regexp.Regexp
	full    bool
	cpus    int
	boots   int
	timeout time.Duration
	verbose bool
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("kernels", flag.ContinueOnError)
	flags.StringVar(&o.cache, "cache", "bin/debian", "folder for packages, images and logs; packages in it are used again")
	flags.StringVar(&o.bin, "bin", "bin", "folder of the static programs fivetuple, demo, conformance, kernels-guest and bpf.test, and of those of another architecture in a folder of its name")
	flags.StringVar(&o.pcaps, "pcaps", "", "folder of captures with their independent figures; empty leaves the replays out")
	only := flags.String("only", "", "regular expression: boot only the releases that it matches, like ^6.1[.]")
	checks := flags.String("checks", "", "regular expression: run only the checks that it matches")
	flags.BoolVar(&o.full, "full", false, "run the long form: all tests of ./bpf on every kernel")
	flags.IntVar(&o.cpus, "cpus", 1, "CPUs of a guest, 1 to 8")
	flags.IntVar(&o.boots, "boots", 2, "guests that run at a time, 1 to 8")
	flags.DurationVar(&o.timeout, "timeout", 30*time.Minute, "bound of one guest's run")
	flags.BoolVar(&o.verbose, "v", false, "print the output of every check, not only of those that failed")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if o.cpus < 1 || o.cpus > 8 || o.boots < 1 || o.boots > 8 {
		return o, fmt.Errorf("check flags: -cpus %d and -boots %d have to be in 1..8", o.cpus, o.boots)
	}
	var err error
	if o.only, err = regexp.Compile(*only); err != nil {
		return o, fmt.Errorf("check flags: -only: %w", err)
	}
	if o.checks, err = regexp.Compile(*checks); err != nil {
		return o, fmt.Errorf("check flags: -checks: %w", err)
	}
	if o.cache, err = filepath.Abs(o.cache); err != nil {
		return o, err
	}
	return o, nil
}

// errFailed means that all kernels were tried and not every check passed.
var errFailed = errors.New("not every check passed")

func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.cache, 0o755); err != nil {
		return err
	}
	kernels, err := fetchKernels(ctx, o, out)
	if err != nil {
		return err
	}
	images, err := newImages(o, kernels)
	if err != nil {
		return err
	}
	results := make([]result, len(kernels))
	slots, all := make(chan struct{}, o.boots), sync.WaitGroup{}
	for i, k := range kernels { // in their order: the first one takes longest
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			results[i] = runKernel(ctx, o, images[k.arch], k, out)
		})
	}
	all.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	if !printAll(out, results) {
		return errFailed
	}
	return nil
}
