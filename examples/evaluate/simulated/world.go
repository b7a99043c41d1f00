package simulated

import (
	"math/rand/v2"
	"time"

	"github.com/rs/zerolog"

	"fivetuple/correlator"
	"fivetuple/correlator/baseline"
	"fivetuple/correlator/flow"
	"fivetuple/correlator/signal"
	"fivetuple/correlator/watch"
	"fivetuple/examples/evaluate/fixed"
	"fivetuple/examples/evaluate/outcome"
	"fivetuple/plugins"
)

// Settings are those of the parts that judge: the defaults of fivetuple.yaml.
type Settings struct {
	Correlator correlator.Options
	Watch      watch.Options
	Baseline   baseline.Options
	FlagAbove  float64
}

// world is a gateway and those who call it.
type world struct {
	kernel
	events
	now, start uint64
	random     *rand.Rand
	hosts      int
	serial     uint64
	open       map[*conn]struct{}
	calls      int

	listening bool          // the gateway accepts connections
	slowness  time.Duration // that the gateway adds to each call

	watcher   *watch.Watcher
	verdicts  correlator.SourceList
	baselines *baseline.Baselines
	cor       *correlator.Correlator
	guard     *guard
	fixed     *fixed.Meter[flow.Key]
	result    *outcome.Benign
	ended     func(*correlator.CallRecord)          // is told of each call that has ended; nil: nobody is
	began     func(flow.VerdictKey, signal.Verdict) // likewise of verdicts that begin
	err       error
}

// newWorld returns a gateway that has learned nothing.
func newWorld(s Settings, seed uint64, result *outcome.Benign) (*world, error) {
	start := uint64(24 * time.Hour)
	w := &world{
		kernel: newKernel(), now: start, start: start, listening: true, result: result,
		random: rand.New(rand.NewPCG(seed, 1)), //nolint:gosec // repeatable
		open:   map[*conn]struct{}{}, fixed: fixed.NewMeter[flow.Key](),
		baselines: baseline.New(s.Baseline),
	}
	var err error
	if w.watcher, err = watch.New(s.Watch); err != nil {
		return nil, err
	}
	judge := correlator.Judge{Baselines: w.baselines, Sources: &w.verdicts, FlagAbove: s.FlagAbove}
	if w.cor, err = correlator.New(w, s.Correlator, w.take, &judge); err != nil {
		return nil, err
	}
	w.guard, err = newGuard(plugins.Deps{
		Correlator: w.cor, Tuple: correlator.TupleHeader, Now: func() uint64 { return w.now }, Log: zerolog.Nop(),
	})
	if err != nil {
		return nil, err
	}
	w.after(time.Duration(w.random.IntN(int(time.Second))), w.look)
	return w, nil
}
