package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/rs/zerolog"

	"fivetuple/bpf"
	"fivetuple/conf"
	"fivetuple/correlator"
	"fivetuple/correlator/flow"
	"fivetuple/plugins"
	"fivetuple/runner/calls"
	"fivetuple/runner/metrics"
	"fivetuple/runner/report"
	"fivetuple/runner/server"
)

const (
	// sweepEvery is how often calls that have no other after them are looked at.
	sweepEvery = time.Second
	// flushTime is how long the last records may take to be written when the runner ends.
	flushTime = time.Second
)

// output is what a runner tells others of its calls: the log and the metrics. Either may be off.
type output struct {
	clock    bpf.Clock
	log      *calls.Log   // nil: off
	metered  *calls.Queue // of the metrics; nil: off
	reported *calls.Queue // of the reports; nil: off
	figures  *report.Figures
	flagged  *calls.Queue // of the lines for flagged calls
	counters *plugins.Counters
	stats    *server.Stats
	seen     *server.SeenRoutes
	registry *prometheus.Registry
	reader   *bpf.Reader
	stop     context.CancelFunc
	wait     sync.WaitGroup
}

// newFigures returns what reports are made of; nil, if nobody could ask for one.
func newFigures(c conf.Config) *report.Figures {
	if c.Metrics.Listen == "" && len(c.Redis.Addresses) == 0 {
		return nil
	}
	return report.New(report.Options{Routes: c.Report.Routes, Gateway: gatewayName(c.Fleet), Now: time.Now})
}

// newOutput opens the log and registers what is counted; told is told of flagged calls. A log that cannot be written is no reason
// not to serve.
func newOutput(c conf.Config, clock bpf.Clock, figures *report.Figures, told func(*correlator.CallRecord), log zerolog.Logger) *output {
	o := &output{clock: clock, figures: figures, counters: new(plugins.Counters), stats: new(server.Stats), seen: new(server.SeenRoutes), registry: prometheus.NewRegistry(), stop: func() {}}
	o.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	metrics.RegisterServer(o.registry, o.stats)
	metrics.RegisterPlugins(o.registry, o.counters)
	if layout, err := bpf.Layout(); err == nil {
		metrics.RegisterBuild(o.registry, buildVersion(), fmt.Sprintf("%016x", layout))
	}
	f := newFlags(told, log.With().Str("part", "flags").Logger())
	o.flagged = calls.NewQueue(flagQueue, f)
	metrics.RegisterQueue(o.registry, "flags", o.flagged.Dropped, o.flagged.Waiting)
	metrics.RegisterFlags(o.registry, f.dropped.Load)
	if c.Metrics.Listen != "" {
		o.metered = calls.NewQueue(c.Calls.Queue, metrics.NewCalls(o.registry, c.Metrics.Series))
		metrics.RegisterQueue(o.registry, "metrics", o.metered.Dropped, o.metered.Waiting)
	}
	if figures != nil {
		o.reported = calls.NewQueue(c.Calls.Queue, figures)
		metrics.RegisterQueue(o.registry, "report", o.reported.Dropped, o.reported.Waiting)
		metrics.RegisterReport(o.registry, figures.Routes, figures.Beyond)
	}
	if c.Calls.File != "" {
		o.openLog(c.Calls, log.With().Str("part", "calls").Logger())
	}
	return o
}

func (o *output) openLog(c conf.Calls, log zerolog.Logger) {
	l, err := calls.Open(calls.Options{
		File: c.File, Sample: c.Sample, Queue: c.Queue, Path: c.Path, IPv4Prefix: c.IPv4Prefix, IPv6Prefix: c.IPv6Prefix,
		RotateBytes: int64(c.Rotate.Size) << 20, RotateKeep: c.Rotate.Keep, RotateDays: c.Rotate.Days,
		Monotonic: o.clock.Now, Now: time.Now, Log: log,
	})
	if err != nil {
		log.Warn().Err(err).Str("file", c.File).Msg("calls are not logged; the runner goes on without")
		return
	}
	o.log = l
	metrics.RegisterLog(o.registry, l.Counts)
}

// table returns a reader's table, whose look-ups are counted, and which is kept fresh from start to close.
func (o *output) table(reader *bpf.Reader) flow.Table {
	o.reader = reader
	metrics.RegisterTables(o.registry, reader.Counts, o.clock.Now)
	return metrics.NewLookups(o.registry, reader)
}

// sink returns where the records of finished calls go.
func (o *output) sink() correlator.Sink {
	return func(r *correlator.CallRecord) {
		if r.Flagged {
			o.flagged.Put(r)
		}
		if o.metered != nil {
			o.metered.Put(r)
		}
		if o.reported != nil {
			o.reported.Put(r)
		}
		if o.log != nil {
			o.log.Put(r)
		}
	}
}

// path returns what calls keep of their paths; nil: nothing.
func (o *output) path(c conf.Calls) func([]byte) string {
	if o.log == nil || c.Path == conf.PathOff {
		return nil
	}
	return func(path []byte) string { return calls.Path(c.Path, string(path)) }
}

// start looks for ended calls and for records, and serves the metrics, until close.
func (o *output) start(ctx context.Context, cor *correlator.Correlator, records *records, at metrics.Place, log zerolog.Logger) {
	metrics.RegisterCorrelator(o.registry, cor.Counters)
	ctx, o.stop = context.WithCancel(context.WithoutCancel(ctx)) // calls come, and metrics are read, while the runner drains
	o.wait.Go(func() { o.sweep(ctx, cor) })
	o.wait.Go(func() { o.reader.Run(ctx) })
	o.wait.Go(func() { records.run(ctx) })
	if at.Address != "" {
		pages := metrics.Pages{
			Report: report.Handler(o.figures), Ready: metrics.ReadyHandler(records.readiness), Routes: routesHandler(o.seen),
		}
		o.wait.Go(func() {
			metrics.Serve(ctx, at, metrics.Handler(o.registry, pages), o.registry, log.With().Str("part", "metrics").Logger())
		})
	}
}

func (o *output) sweep(ctx context.Context, cor *correlator.Correlator) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			cor.Flush()
			return
		case <-tick.C:
			cor.Sweep(o.clock.Now())
		}
	}
}

// close writes what is left, in a bounded time, once no call can come any more.
func (o *output) close(log zerolog.Logger) {
	o.stop()
	o.wait.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), flushTime)
	defer cancel()
	o.flagged.Close(ctx)
	if o.metered != nil {
		o.metered.Close(ctx)
	}
	if o.reported != nil {
		o.reported.Close(ctx)
	}
	if o.log == nil {
		return
	}
	lost := o.log.Close(ctx)
	c := o.log.Counts()
	if c.Dropped+c.Failed > 0 {
		log.Warn().Int("late", lost).Uint64("dropped", c.Dropped).Uint64("failed", c.Failed).Msg("calls are missing in the log")
	}
}
