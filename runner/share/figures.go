package share

import (
	"cmp"
	"context"
	"time"

	"fivetuple/runner/report"
)

// loadEvery is how often it is tried to read what the process before this one has told.
const loadEvery = 5 * time.Second

// figuresEvery is how often figures are told, by the length of their buckets.
func figuresEvery(step int64) time.Duration {
	if step == report.StepHour {
		return 5 * time.Minute
	}
	return time.Minute
}

// figures is what of the figures of calls is still to be told.
type figures struct {
	isLoaded bool
	tried    time.Time
	toLoad   []report.Bucket // that were not read yet; nil: nothing was tried
	steps    map[int64]told  // by the length of the buckets
	pending  []report.Changed
}

// told is when figures were told, and which.
type told struct {
	at   time.Time
	mark uint64
}

// again has everything told anew.
func (f *figures) again() { f.steps = nil }

// tellFigures tells some of what has changed since the last time. First it reads what the process before this one had told, whose
// place it takes, when that one has told all.
func (s *Share) tellFigures(ctx context.Context) {
	f := &s.figures
	if !f.isLoaded {
		if !isClosed(s.voice.before) || !s.link.Counts().Up || time.Since(f.tried) < loadEvery {
			return
		}
		f.tried = time.Now()
		if s.loadFigures(ctx) != nil {
			return
		}
	}
	if len(f.pending) == 0 {
		s.collectFigures(figuresEvery)
	}
	n := min(len(f.pending), s.atOnce())
	s.writeFigures(f.pending[:n])
	f.pending = f.pending[n:]
}

// tellAllFigures tells what has changed at once: the process ends, or may be killed.
func (s *Share) tellAllFigures() {
	f := &s.figures
	if !f.isLoaded {
		return // it would take the place of what is there
	}
	s.collectFigures(func(int64) time.Duration { return 0 })
	s.writeFigures(f.pending)
	f.pending = nil
}

// tellLastFigures is tellAllFigures for a process that may have lived too short to read what was there before.
func (s *Share) tellLastFigures(ctx context.Context) {
	if !s.figures.isLoaded {
		select {
		case <-ctx.Done():
			s.Log.Warn().Msg("figures are not told: the process before this one has not told its last")
			return
		case <-s.voice.before:
		}
		if err := s.loadFigures(ctx); err != nil {
			s.Log.Warn().Err(err).Msg("figures are not told")
			return
		}
	}
	s.tellAllFigures()
}

// collectFigures takes what has changed since it was last told, of buckets that were told so long ago.
func (s *Share) collectFigures(every func(step int64) time.Duration) {
	f := &s.figures
	if f.steps == nil {
		f.steps = map[int64]told{}
	}
	for _, step := range []int64{report.StepFine, report.StepHour} {
		last := f.steps[step]
		if time.Since(last.at) < every(step) {
			continue
		}
		changed, mark := s.Figures.Changed(step, last.mark)
		if len(changed) == 0 {
			continue // what comes next is told at once
		}
		f.steps[step] = told{time.Now(), mark}
		f.pending = append(f.pending, changed...)
	}
}

func (s *Share) writeFigures(some []report.Changed) {
	for _, c := range some {
		value, err := c.Encode()
		if err != nil {
			s.Log.Error().Err(err).Str("route", c.Route).Msg("figures are not told")
			continue
		}
		s.link.Writer.HSet(s.keys.Figures(s.options.Fleet.Gateway, c.Step, c.Start), c.Route, value, figuresTTL(c.Step))
	}
}

// figuresTTL is how long a bucket is of use after its last call.
func figuresTTL(step int64) time.Duration {
	keep := report.KeepFine
	if step == report.StepHour {
		keep = report.KeepHour - 1
	}
	return time.Duration(step*keep) * time.Second
}

// loadFigures reads what this gateway has told before, one bucket after the other, and adds it to what is counted now. After an error it
// goes on with the bucket that could not be read.
func (s *Share) loadFigures(ctx context.Context) error {
	f := &s.figures
	ctx, cancel := context.WithTimeout(ctx, loadEvery)
	defer cancel()
	if f.toLoad == nil {
		now := time.Now()
		f.toLoad = append(report.Buckets(now, time.Hour), report.Buckets(now, report.MaxSince)...)
	}
	for len(f.toLoad) > 0 {
		passedOver, first := 0, error(nil)
		err := eachOfBuckets(ctx, s.link.Reader, s.keys, s.options.Fleet.Gateway, f.toLoad[:1], func(b report.Bucket, route string, value []byte) {
			if err := s.Figures.Load(b, route, value); err != nil {
				passedOver++
				first = cmp.Or(first, err)
			}
		})
		if err != nil {
			return err
		}
		if passedOver > 0 {
			s.Log.Warn().Err(first).Int("routes", passedOver).Msg("earlier figures are passed over")
		}
		f.toLoad = f.toLoad[1:]
	}
	f.isLoaded = true
	f.steps = map[int64]told{report.StepFine: {mark: report.Loaded}, report.StepHour: {mark: report.Loaded}}
	return nil
}
