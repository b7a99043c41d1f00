package main

import (
	"github.com/rs/zerolog"

	"fivetuple/bpf"
	"fivetuple/correlator/flow"
	"fivetuple/correlator/watch"
	"fivetuple/runner/calls"
)

// watcher is the agent's: it reads the agent's tables, and writes what it finds into the one of verdicts.
type watcher struct {
	*watch.Watcher
	tables   *bpf.Scanner
	verdicts *bpf.Verdicts
	now      func() uint64
	log      zerolog.Logger
	failed   string // the last error, which is not logged again
}

// startWatch has the agent watch its tables, unless the settings say otherwise.
func startWatch(agent *bpf.Agent, o watch.Options, log zerolog.Logger) error {
	if !o.Enabled {
		return nil
	}
	clock, err := bpf.NewClock()
	if err != nil {
		return err
	}
	w, err := watch.New(o)
	if err != nil {
		return err
	}
	one := &watcher{
		Watcher: w, tables: agent.Scanner(), verdicts: agent.Verdicts(), now: clock.Now,
		log: log.With().Str("part", "watch").Logger(),
	}
	agent.OnTick(one.look)
	return nil
}

// look looks once. What fails is told once, and tried again at the next look.
func (w *watcher) look() {
	report, err := w.Tick(w.now(), w.tables)
	for _, c := range report.Changes {
		if writeErr := w.change(&c); err == nil {
			err = writeErr
		}
	}
	w.tell(err)
	for _, e := range report.Began {
		w.event(&e).Msg("flagged")
	}
	for _, e := range report.Ended {
		w.event(&e).Msg("no longer flagged")
	}
	w.log.Debug().Int("flows", report.Flows).Int("half_open", report.HalfOpen).Int("sources", report.Sources).
		Int("watched", report.Watched).Int("flagged", report.Flagged).
		Uint64("crowded", report.Crowded).Uint64("refused", report.Refused).Uint64("torn", w.tables.Torn()).Msg("looked")
}

// change writes what the watcher decided, unless somebody else has meanwhile said something that still counts.
func (w *watcher) change(c *watch.Change) error {
	there, ok, err := w.verdicts.Get(c.Key)
	if err != nil || ok && there.Origin != flow.OriginWatcher && there.Expires > w.now() {
		return err
	}
	if c.Delete {
		_, err := w.verdicts.Delete(c.Key)
		return err
	}
	return w.verdicts.Put(c.Key, c.Verdict)
}

func (w *watcher) tell(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != "" && text != w.failed {
		w.log.Error().Err(err).Msg("not all could be watched")
	}
	w.failed = text
}

func (w *watcher) event(e *watch.Event) *zerolog.Event {
	return w.log.Info().Str("kind", kindOf(e.Key)).Str("address", addressOf(e.Key)).Float64("score", calls.Score(e.Verdict.Score)).
		Str("signals", e.Verdict.Signals.String())
}

// kindOf names what a verdict is on.
func kindOf(k flow.VerdictKey) string {
	switch {
	case k.Kind == flow.VerdictSource:
		return "source"
	case k == flow.VerdictKey{Kind: flow.VerdictListener}:
		return "host"
	}
	return "listener"
}
