package stack_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"fivetuple/bpf"
	"fivetuple/conf"
	"fivetuple/correlator"
	"fivetuple/examples/stack"
	"fivetuple/plugins"
	"fivetuple/runner/server"
)

// callRunner is a runner in this process, so that its call records can be read as they are.
type callRunner struct {
	t     testing.TB
	s     *stack.Stack
	clock bpf.Clock
	table *bpf.Reader

	sources   correlator.SourceList // what is held against addresses
	baselines fixedBaselines

	mu         sync.Mutex
	records    []correlator.CallRecord
	correlator *correlator.Correlator
	server     *server.Server
	retried    uint64 // calls whose token was not known, to servers that have ended
}

// sweepEvery is how often ended calls are looked for.
const sweepEvery = 20 * time.Millisecond

// startCallRunner serves the stack's socket until the test ends.
func startCallRunner(ctx context.Context, t testing.TB, s *stack.Stack) *callRunner {
	t.Helper()
	clock, err := bpf.NewClock()
	if err != nil {
		t.Fatal(err)
	}
	table, err := bpf.NewReader(s.Pins(), conf.Default().Correlator.Stale, clock)
	if err != nil {
		t.Fatal(err)
	}
	r := &callRunner{t: t, s: s, clock: clock, table: table}
	r.newCorrelator()
	r.serve()
	go table.Run(ctx)
	swept := make(chan struct{})
	go func() {
		defer close(swept)
		r.sweep(ctx)
	}()
	t.Cleanup(func() {
		r.closeServer(context.Background())
		<-swept
	})
	return r
}

func (r *callRunner) newCorrelator() {
	r.t.Helper()
	options := conf.Default().Correlator
	options.Quiet = time.Second
	c, err := correlator.New(r.table, options, r.take, &correlator.Judge{Baselines: &r.baselines, Sources: &r.sources, FlagAbove: conf.Default().Signals.FlagAbove})
	if err != nil {
		r.t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.correlator = c
}

// take is the correlator's sink.
func (r *callRunner) take(record *correlator.CallRecord) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.records = append(r.records, *record)
}

func (r *callRunner) current() *correlator.Correlator {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.correlator
}

func (r *callRunner) sweep(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			r.current().Sweep(r.clock.Now())
		}
	}
}

// serve starts a server, which knows no token of another's.
func (r *callRunner) serve() {
	r.t.Helper()
	numbers, err := server.ReserveNumbers(server.NumbersFile(r.s.Socket()), func(err error) { r.t.Error(err) })
	if err != nil {
		r.t.Fatal(err)
	}
	r.server, err = server.New(server.Options{
		Plugins: plugins.All(plugins.Deps{
			Correlator: r.current(), Tuple: correlator.TupleHeader, Now: r.clock.Now, Log: zerolog.Nop(),
		}),
		OnConfigError: server.ConfigErrorMark, Numbers: numbers.Take, Log: zerolog.Nop(),
	})
	if err != nil {
		r.t.Fatal(err)
	}
	socket, err := server.Listen(r.s.Socket(), server.Access{Mode: 0o600, Group: -1})
	if err != nil {
		r.t.Fatal(err)
	}
	go r.server.Serve(socket.UnixListener)
}

func (r *callRunner) closeServer(ctx context.Context) {
	r.server.Close(ctx)
	r.retried += r.server.Stats().TokensNotFound.Load()
}

// losesTokens replaces the server, and keeps all that the correlator remembers.
func (r *callRunner) losesTokens(ctx context.Context) {
	r.closeServer(ctx)
	r.serve()
}

// restarts ends the runner as SIGTERM does, and starts another.
func (r *callRunner) restarts(ctx context.Context) {
	r.closeServer(ctx)
	r.current().Flush()
	r.newCorrelator()
	r.serve()
}

// dies ends the runner as SIGKILL does, with all that it remembered, and starts another.
func (r *callRunner) dies() {
	cut, cancel := context.WithCancel(context.Background())
	cancel()
	r.closeServer(cut)
	r.newCorrelator()
	r.serve()
}

// all returns the records so far.
func (r *callRunner) all() []correlator.CallRecord {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clip(r.records)
}
