// Command demo shows fivetuple at work on one machine, without an APISIX: in network namespaces of its own it runs the
// agent, the runner, a stand-in for the gateway and an upstream, makes calls of many kinds, and prints what the upstream
// was told of each. A capture that does not use the kernel program is the judge: the demo fails if a figure differs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"fivetuple/examples/lab"
	"fivetuple/examples/stack"
)

const exitInterrupted = 130 // as shells have it: 128 + SIGINT

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	switch {
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "demo: interrupted; everything is removed")
		os.Exit(exitInterrupted)
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

type options struct {
	binary   string
	pcap     string
	json     string
	offloads bool
	verbose  bool
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.StringVar(&o.binary, "binary", "bin/fivetuple", "the fivetuple program")
	flags.StringVar(&o.pcap, "pcap", "", "keep the capture in this file")
	flags.StringVar(&o.json, "json", "", "keep the calls in this file, one JSON object a line")
	flags.BoolVar(&o.offloads, "offloads", true, "leave merged packets (TSO, GSO, GRO) on, as a host has them")
	flags.BoolVar(&o.verbose, "v", false, "show what the agent and the runner log")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	return o, nil
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	o, err := parse(args)
	if err != nil {
		return err
	}
	if missing := lab.Missing(); len(missing) > 0 {
		return fmt.Errorf("cannot run here:\n  %s", strings.Join(missing, "\n  "))
	}
	log := io.Discard
	if o.verbose {
		log = os.Stderr
	}
	fmt.Fprintln(out, "demo: client -- veth -- gateway (a stand-in for APISIX) -- veth -- upstream, with agent and runner")
	s, err := stack.New(ctx, stack.Options{Binary: o.binary, Offloads: o.offloads, Log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return demonstrate(ctx, s, o, out)
}

// demonstrate makes the calls under a capture, and compares.
func demonstrate(ctx context.Context, s *stack.Stack, o options, out io.Writer) (err error) {
	pcap, err := create(o.pcap)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pcap.Close()) }()
	calls, err := create(o.json)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, calls.Close()) }()
	capture, err := s.Capture(lab.CaptureOptions{PCAP: pcap.writer()})
	if err != nil {
		return err
	}
	made, err := makeCalls(ctx, s, out)
	if err := errors.Join(err, capture.Stop()); err != nil {
		return err
	}
	return report(made, lab.Flows(capture.Packets(), nil), calls.writer(), out)
}

// file is a file that may not be wanted.
type file struct{ *os.File }

func create(path string) (file, error) {
	if path == "" {
		return file{}, nil
	}
	f, err := os.Create(path)
	return file{f}, err
}

// writer returns nil, and not an interface with a nil in it, if the file is not wanted.
func (f file) writer() io.Writer {
	if f.File == nil {
		return nil
	}
	return f.File
}

// Close implements io.Closer.
func (f file) Close() error {
	if f.File == nil {
		return nil
	}
	return f.File.Close()
}
