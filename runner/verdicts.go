package main

import (
	"context"
	"errors"
	"time"

	"github.com/rs/zerolog"

	"fivetuple/bpf"
	"fivetuple/correlator"
	"fivetuple/correlator/flow"
	"fivetuple/correlator/watch"
)

// followEvery is how late a verdict on a source is known to the runner.
const followEvery = 250 * time.Millisecond

// followVerdicts copies the verdicts on sources to where calls are judged, until the context ends: no call waits for the
// table. Without a table nothing is held against anybody, but what was known stays in force until it expires.
func followVerdicts(ctx context.Context, pins string, now func() uint64, to *correlator.SourceList, log zerolog.Logger) {
	log = log.With().Str("part", "verdicts").Logger()
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	failed := false
	for {
		list, err := readSources(pins, now())
		if err == nil {
			to.Replace(list)
		} else if !failed && !errors.Is(err, flow.ErrNoTable) { // that there is no table is told with the records
			log.Warn().Err(err).Msg("verdicts on sources are not known")
		}
		failed = err != nil
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// readSources returns what is held against sources. The table is opened anew each time: an agent may have replaced it.
func readSources(pins string, now uint64) (map[[16]byte]correlator.SourceVerdict, error) {
	table, err := bpf.OpenVerdicts(pins, false)
	if err != nil {
		return nil, err
	}
	list := make(map[[16]byte]correlator.SourceVerdict)
	err = table.Each(func(k flow.VerdictKey, v *flow.Verdict) error {
		if k.Kind == flow.VerdictSource && v.Score > 0 && v.Expires > now {
			list[k.Address] = correlator.SourceVerdict{Verdict: watch.Said(v), Until: v.Expires}
		}
		return nil
	})
	return list, errors.Join(err, table.Close())
}
