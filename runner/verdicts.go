package main

import (
	"context"
	"errors"
	"time"

	"github.com/rs/zerolog"

	"fivetuple/bpf"
	"fivetuple/correlator"
	"fivetuple/correlator/fleet"
	"fivetuple/correlator/flow"
	"fivetuple/correlator/watch"
)

// followEvery is how late a verdict on a source is known to the runner.
const followEvery = 250 * time.Millisecond

// followVerdicts copies the verdicts on sources to where calls are judged, until the context ends: no call waits for the
// table. Without a table nothing is held against anybody, but what was known stays in force until it expires. With shared
// verdicts, others are told of the table, and what they hold is added; nil: they are not shared.
func followVerdicts(ctx context.Context, pins string, now func() uint64, to *correlator.SourceList, shared *sharedVerdicts, log zerolog.Logger) {
	log = log.With().Str("part", "verdicts").Logger()
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	failed := false
	for {
		at := now()
		table, err := readSources(pins, at)
		if err == nil {
			list := listSources(table)
			if shared != nil {
				shared.pass(at, table, list)
			}
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

// readSources returns what is held against sources, and the pardons. The table is opened anew each time: an agent may have
// replaced it.
func readSources(pins string, now uint64) (fleet.Table, error) {
	table, err := bpf.OpenVerdicts(pins, false)
	if err != nil {
		return nil, err
	}
	all := make(fleet.Table)
	err = table.Each(func(k flow.VerdictKey, v *flow.Verdict) error {
		if k.Kind == flow.VerdictSource && v.Expires > now {
			all[k.Address] = *v
		}
		return nil
	})
	return all, errors.Join(err, table.Close())
}

// listSources returns what counts of this host's own table.
func listSources(table fleet.Table) map[[16]byte]correlator.SourceVerdict {
	list := make(map[[16]byte]correlator.SourceVerdict, len(table))
	for address, v := range table {
		if v.Score > 0 {
			list[address] = correlator.SourceVerdict{Verdict: watch.Said(&v), Until: v.Expires, Origin: v.Origin}
		}
	}
	return list
}
