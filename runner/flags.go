package main

import (
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"fivetuple/correlator"
	"fivetuple/correlator/signal"
	"fivetuple/runner/calls"
)

const (
	// flagQueue is how many flagged calls wait for their line; more are dropped and counted.
	flagQueue = 256
	// flagLines is how many lines a second are written; more are counted, and not written.
	flagLines = 10
)

// flags writes a line for each call that was flagged, and has others told. The line has no address: that is in the log of calls.
type flags struct {
	told    func(*correlator.CallRecord)
	log     zerolog.Logger
	rate    zerolog.BurstSampler
	dropped atomic.Uint64
}

func newFlags(told func(*correlator.CallRecord), log zerolog.Logger) *flags {
	return &flags{told: told, log: log, rate: zerolog.BurstSampler{Burst: flagLines, Period: time.Second}}
}

// Take implements calls.Consumer.
func (f *flags) Take(r *correlator.CallRecord) {
	if !f.rate.Sample(zerolog.InfoLevel) {
		f.dropped.Add(1)
		return
	}
	v := r.Facts.Verdict(signal.All)
	f.log.Info().Str("route", r.Route.String()).Str("method", r.Method).Float64("score", calls.Score(v.Score)).Stringer("signals", v.Signals).
		Stringer("match", r.Match).Str("request_id", r.RequestID.String()).
		Uint64("connection", r.Connection).Uint64("connection_requests", r.Requests).Msg("call flagged")
	f.told(r)
}

// Idle implements calls.Consumer.
func (*flags) Idle() {}

var _ calls.Consumer = (*flags)(nil)
