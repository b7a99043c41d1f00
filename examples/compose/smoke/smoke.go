package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// smoke runs everything, inside the namespaces.
func smoke(ctx context.Context, o options, out io.Writer) (err error) {
	progress := newProgress(out)
	profile, err := os.ReadFile(filepath.Join(o.repository, "examples/compose/seccomp.json"))
	if err != nil {
		return err
	}
	e, err := newEngine(o.inside, string(profile))
	if err != nil {
		return err
	}
	e.env = append(e.env, imageVariables(&o)...)
	defer func() { err = errors.Join(err, e.stop()) }()
	bridges, err := keepBridges()
	if err != nil {
		return err
	}
	defer bridges.close()
	if err := e.start(ctx); err != nil {
		return err
	}
	if err := buildImages(ctx, e, &o, progress); err != nil {
		return err
	}
	dir, err := copyStack(ctx, o.repository, e.path("clone"), "022")
	if err != nil {
		return err
	}
	s := &project{
		e: e, compose: filepath.Join(o.bin, "docker-compose"), dir: dir, name: "fivetuple",
		apisix: "127.0.0.1:9080", metrics: "127.0.0.1:9476", verbose: func(string) {},
	}
	if o.verbose {
		s.verbose = func(text string) { fmt.Fprint(os.Stderr, text) }
	}
	return s.play(ctx, &o, progress)
}

func buildImages(ctx context.Context, e *engine, o *options, progress *progress) error {
	for i, sub := range substitutes(o) {
		dir := e.path(fmt.Sprintf("image-%d", i))
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
		if err := progress.step(fmt.Sprintf("%s: a substitute: %s", sub.image, sub.what), sub.build(ctx, e, dir)); err != nil {
			return err
		}
	}
	return progress.step("fivetuple:dev, fivetuple-upstream:dev: built by the Dockerfile", buildShipped(ctx, e, o))
}

// play starts the stack, checks it, breaks it, and removes it.
func (s *project) play(ctx context.Context, o *options, progress *progress) (err error) {
	before, err := s.e.census(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil { // what is left is shown by the error, and goes with the namespaces
			err = fmt.Errorf("%w\n%s", err, s.logs(context.WithoutCancel(ctx)))
		}
	}()
	if err := progress.step("up: all services are healthy", s.up(ctx)); err != nil {
		return err
	}
	if err := progress.step("calls are enriched", await(ctx, startWait, "an enriched call", func() error {
		_, err := callOnce(ctx, s.apisix, "/insight/")
		return err
	})); err != nil {
		return err
	}
	if err := s.sizes(ctx, progress); err != nil {
		return err
	}
	for _, c := range []struct {
		name string
		do   func(context.Context, *project) error
	}{
		{"calls, report, events, route, sources work in the containers", checkCommands},
		{"metrics are published on loopback, and Redis is used", checkMetrics},
		{"the log has no refused system call or file", checkWarnings},
		{"an attack through the published port flags nobody, one from a container does", checkClientsAddress},
		{"an edited mounted file is in force after a restart", checkEdit},
	} {
		if err := progress.step(c.name, c.do(ctx, s)); err != nil {
			return err
		}
	}
	if err := progress.step("all is as it was after each of these", s.breakAll(ctx, o.rounds, progress.out)); err != nil {
		return err
	}
	if err := s.sizes(ctx, progress); err != nil {
		return err
	}
	if err := progress.step("the log has no refused system call or file since", checkWarnings(ctx, s)); err != nil {
		return err
	}
	if err := s.beside(ctx, progress); err != nil {
		return err
	}
	if err := s.remove(ctx, before, progress); err != nil {
		return err
	}
	if err := progress.step("a mounted file that is missing is named", checkMissing(ctx, s, o.repository)); err != nil {
		return err
	}
	if err := progress.step("a clone with umask 077: the runner says what to do, and that helps", checkUmask(ctx, s, o.repository)); err != nil {
		return err
	}
	return progress.step("users of containers are remapped: the stack works", checkRemap(ctx, s))
}

func (s *project) sizes(ctx context.Context, progress *progress) error {
	c, err := s.compareSizes(ctx)
	return progress.step(fmt.Sprintf("sizes are the capture's: %d lines of the log in both directions, %d bytes; %d headers", c.calls, c.bytes, c.headers), err)
}

// beside runs a second gateway and a second stack beside the first one. Nothing of them is left.
func (s *project) beside(ctx context.Context, progress *progress) error {
	if err := progress.step("profile fleet: two gateways, one report", checkFleet(ctx, s)); err != nil {
		return err
	}
	before, err := s.e.census(ctx)
	if err != nil {
		return err
	}
	err = checkSecond(ctx, s)
	left, leftErr := s.e.leftBehind(ctx, before)
	if err = errors.Join(err, leftErr); err == nil && len(left) > 0 {
		err = fmt.Errorf("%w as it was before: %v", errDiffers, left)
	}
	return progress.step("second.env: a second stack beside the first", err)
}

// remove removes the stack; nothing of it is left, neither here nor in the kernel.
func (s *project) remove(ctx context.Context, before census, progress *progress) error {
	held, err := kernelObjects(s.pins())
	if err != nil {
		return err
	}
	all := *s
	all.flags = append([]string{"--profile", "*"}, s.flags...)
	if err := all.down(ctx, "--volumes"); err != nil {
		return err
	}
	left, err := s.e.leftBehind(ctx, before)
	if left = append(left, gone(ctx, held)...); err == nil && len(left) > 0 {
		err = fmt.Errorf("%w as it was before: %v", errDiffers, left)
	}
	return progress.step(fmt.Sprintf("down --volumes: nothing is left, nor any of %d objects in the kernel", len(held)), err)
}

// progress prints what was done, with the time that it took.
type progress struct {
	out  io.Writer
	last time.Time
}

func newProgress(out io.Writer) *progress { return &progress{out: out, last: time.Now()} }

// step prints a line for what was done since the last one, and returns its error.
func (p *progress) step(what string, err error) error {
	verdict := "ok"
	if err != nil {
		verdict = "FAILED"
		err = fmt.Errorf("%s: %w", what, err)
	}
	fmt.Fprintf(p.out, "%-6s %5.1f s  %s\n", verdict, time.Since(p.last).Seconds(), what)
	p.last = time.Now()
	return err
}
