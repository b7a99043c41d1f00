package stack_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	pkghttp "github.com/apache/apisix-go-plugin-runner/pkg/http"
	"github.com/apache/apisix-go-plugin-runner/pkg/plugin"
	"github.com/rs/zerolog"

	"fivetuple/bpf"
	"fivetuple/conf"
	"fivetuple/correlator"
	"fivetuple/examples/lab"
	"fivetuple/examples/stack"
	"fivetuple/plugins"
	"fivetuple/runner/server"
)

// nothing is a plugin that does nothing: what the others are compared with.
type nothing struct{ plugin.DefaultPlugin }

func (*nothing) Name() string                  { return "nothing" }
func (*nothing) ParseConf([]byte) (any, error) { return struct{}{}, nil }

// judge has a ready baseline, and holds nothing against anybody.
func judge() *correlator.Judge {
	baselines := new(fixedBaselines)
	baselines.areNarrow()
	return &correlator.Judge{Baselines: baselines, Sources: new(correlator.SourceList), FlagAbove: 0.8}
}

// deps returns what the plugins work with, over the stack's own tables.
func deps(b *testing.B, s *stack.Stack) plugins.Deps {
	b.Helper()
	clock, err := bpf.NewClock()
	if err != nil {
		b.Fatal(err)
	}
	options := conf.Default().Correlator
	reader, err := bpf.NewReader(s.Pins(), options.Stale, clock)
	if err != nil {
		b.Fatal(err)
	}
	cor, err := correlator.New(reader, options, func(*correlator.CallRecord) {}, judge())
	if err != nil {
		b.Fatal(err)
	}
	go reader.Run(b.Context())
	return plugins.Deps{Correlator: cor, Tuple: options.Tuple, Now: clock.Now, Log: zerolog.Nop()}
}

// callOf is a request as our server gives it to a plugin, whose changes are thrown away.
type callOf struct {
	pkghttp.Request
	tuple string
	found correlator.Found
	names [][]byte // of the headers that came
	set   int
}

func (r *callOf) Found() *correlator.Found { return &r.found }
func (r *callOf) Header() pkghttp.Header   { return r }
func (r *callOf) Method() string           { return http.MethodGet }
func (r *callOf) View() http.Header        { return nil }
func (r *callOf) Set(string, string)       { r.set++ }
func (r *callOf) Del(string)               {}

func (r *callOf) Get(name string) string {
	if name == correlator.TupleHeaderName {
		return r.tuple
	}
	return ""
}

func (r *callOf) All(yield func(name, value []byte) bool) {
	for _, name := range r.names {
		if !yield(name, nil) {
			return
		}
	}
}

// BenchmarkFilter is what the plugins do to a call with the tuple's header, with the look-up in the pinned table of a
// connection that is there, and its verdict.
func BenchmarkFilter(b *testing.B) {
	_, s := start(b, stack.Options{NoRunner: true})
	c := dial(b.Context(), b, s, lab.GatewayFrontIPv4)
	if _, err := c.Do(stack.Get("/plain/1", 0)); err != nil {
		b.Fatal(err)
	}
	d := deps(b, s)
	insight, guard := plugins.NewPacketInsight(d), plugins.NewPacketGuard(d)
	r := &callOf{
		tuple: fmt.Sprintf("%v %d %v %d 1 1 44", c.Addr().Addr(), c.Addr().Port(), c.GatewayAddr().Addr(), c.GatewayAddr().Port()),
		names: [][]byte{[]byte("host"), []byte("user-agent"), []byte("accept"), []byte("x-packet-tuple")},
	}
	headers, _ := insight.ParseConf([]byte(`{}`))
	dictionary, _ := insight.ParseConf([]byte(`{"format":"dictionary"}`))
	enforce, _ := guard.ParseConf([]byte(`{"mode":"enforce"}`))
	for name, run := range map[string]func(){
		"headers":    func() { insight.RequestFilter(headers, nil, r) },
		"dictionary": func() { insight.RequestFilter(dictionary, nil, r) },
		"guard":      func() { guard.RequestFilter(enforce, nil, r) },
		"both":       func() { guard.RequestFilter(enforce, nil, r); insight.RequestFilter(dictionary, nil, r) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.found = correlator.Found{}
				run()
			}
		})
	}
	if r.set == 0 {
		b.Fatal("no header was set")
	}
}

// BenchmarkGateway is what the stand-in gateway serves with each form of headers, beside the same gateway with a plugin
// that does nothing: rounds of the three in turn, medians.
func BenchmarkGateway(b *testing.B) {
	const clients, calls, rounds = 16, 100, 9
	ctx, s := start(b, stack.Options{NoRunner: true})
	serveInProcess(b, s)
	paths := []string{"/nothing/x", "/full/x", "/dictionary/x"}
	rates := make([][]float64, len(paths))
	for b.Loop() {
		for range rounds {
			for i, path := range paths {
				rates[i] = append(rates[i], rate(ctx, b, s, path, clients, calls))
			}
		}
	}
	for i := range rates {
		slices.Sort(rates[i])
	}
	median := func(i int) float64 { return rates[i][len(rates[i])/2] }
	b.ReportMetric(median(0), "nothing-calls/s")
	b.ReportMetric(100*median(1)/median(0), "headers-%")
	b.ReportMetric(100*median(2)/median(0), "dictionary-%")
}

func serveInProcess(b *testing.B, s *stack.Stack) {
	b.Helper()
	numbers, err := server.ReserveNumbers(server.NumbersFile(s.Socket()), func(err error) { b.Error(err) })
	if err != nil {
		b.Fatal(err)
	}
	srv, err := server.New(server.Options{
		Plugins:       append(plugins.All(deps(b, s)), &nothing{}),
		OnConfigError: server.ConfigErrorMark, Numbers: numbers.Take, Log: zerolog.Nop(),
	})
	if err != nil {
		b.Fatal(err)
	}
	socket, err := server.Listen(s.Socket(), server.Access{Mode: 0o600, Group: -1})
	if err != nil {
		b.Fatal(err)
	}
	go srv.Serve(socket.UnixListener)
	b.Cleanup(func() { srv.Close(context.Background()) })
}

// rate returns the calls a second of clients that make a number of calls each.
func rate(ctx context.Context, b *testing.B, s *stack.Stack, path string, clients, calls int) float64 {
	b.Helper()
	var wg sync.WaitGroup
	begin := time.Now()
	for range clients {
		wg.Go(func() {
			c, err := s.Dial(ctx, lab.GatewayFrontIPv4)
			if err != nil {
				b.Error(err)
				return
			}
			defer c.Close()
			for range calls {
				if _, err := c.Do(stack.Get(path, 0)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return float64(clients*calls) / time.Since(begin).Seconds()
}
