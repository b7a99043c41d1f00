package main

import (
	"context"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"fivetuple/correlator/baseline"
)

const (
	// rotateEvery is how often the baselines' seconds are counted, and windows that are over are closed.
	rotateEvery = time.Second
	// saveEvery is how often the baselines are written, if there is anything new.
	saveEvery = time.Minute
)

// baselines learn, for as long as the runner lives, and over restarts if there is a file.
type baselines struct {
	*baseline.Baselines
	file baselineFile
	now  func() uint64 // CLOCK_MONOTONIC nanoseconds
	log  zerolog.Logger
	// onShift is told of each baseline that was replaced; it is set before start.
	onShift func(*baseline.Shift)
	stop    context.CancelFunc
	wait    sync.WaitGroup
}

// newBaselines goes on with what the file has. A file that cannot be read is no reason not to serve.
func newBaselines(o baseline.Options, now func() uint64, log zerolog.Logger) *baselines {
	log = log.With().Str("part", "baseline").Logger()
	b := &baselines{Baselines: baseline.New(o), file: baselineFile{path: o.File, log: log}, now: now, log: log, onShift: func(*baseline.Shift) {}, stop: func() {}}
	b.setWall()
	b.file.load(b.Baselines)
	return b
}

// setWall compares the clocks: whoever sets the wall clock moves the ends of windows, and nothing else.
func (b *baselines) setWall() {
	b.SetWall(time.Duration(time.Now().UnixNano()) - time.Duration(b.now())) //nolint:gosec // 292 years
}

// start rotates and saves until close. When the context ends it saves at once: the gateway kills its runner a second after
// it told it to end.
func (b *baselines) start(ctx context.Context) {
	whole, stop := context.WithCancel(context.WithoutCancel(ctx)) // calls come while the runner drains
	b.stop = stop
	b.wait.Go(func() {
		rotate, save := time.NewTicker(rotateEvery), time.NewTicker(saveEvery)
		defer rotate.Stop()
		defer save.Stop()
		ends := ctx.Done()
		for {
			select {
			case <-rotate.C:
				b.setWall()
				b.tell(b.Rotate(b.now()))
			case <-save.C:
				b.file.save(b.Baselines)
			case <-ends:
				ends = nil
				b.saveAll()
			case <-whole.Done():
				return
			}
		}
	})
}

// close saves what was learned, once no call can come any more.
func (b *baselines) close() {
	b.stop()
	b.wait.Wait()
	b.saveAll()
}

func (b *baselines) saveAll() {
	b.tell(b.Close(b.now()))
	b.file.save(b.Baselines)
}

// tell logs each baseline that was replaced, once.
func (b *baselines) tell(shifts []baseline.Shift) {
	for _, s := range shifts {
		b.onShift(&s)
		b.log.Warn().Str("event", "baseline-shift").Str("route", s.Key.Route).Str("method", s.Key.Method).Bool("shared", s.Shared).
			Int("windows", s.Windows).Int("sources", s.Sources).Dict("p99_before", p99(s.Before)).Dict("p99_after", p99(s.After)).
			Msg("what is normal has changed: most calls were not, and are from now on")
	}
}

func p99(u *baseline.Usual) *zerolog.Event {
	d := zerolog.Dict().Float64("rate", u.Rate.P99)
	for q, r := range u.Quantities {
		d.Float64(baseline.Quantity(q).String(), r.P99) //nolint:gosec // below Quantities
	}
	return d
}
