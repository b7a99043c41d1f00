package main

import (
	"context"
	"io"
	"os"

	"fivetuple/conf"
	"fivetuple/examples/evaluate/live"
	"fivetuple/examples/evaluate/outcome"
	"fivetuple/examples/evaluate/simulated"
)

// parts lists all there is to play.
func parts(o *options) ([]part, error) {
	defaults := conf.Default()
	settings := simulated.Settings{
		Correlator: defaults.Correlator, Watch: defaults.Watch, Baseline: defaults.Baseline, FlagAbove: defaults.Signals.FlagAbove,
	}
	captures, err := captureParts(o, settings.Watch)
	if err != nil {
		return nil, err
	}
	all := append(captures, liveParts(o)...)
	for _, a := range simulated.Attacks() {
		all = append(all, part{"simulated attack/" + a.Name, func(_ context.Context, to *outcome.Report) error {
			one, err := a.Run(settings, o.seed)
			to.Attacks = append(to.Attacks, one)
			return err
		}})
	}
	for _, s := range simulated.Benign() {
		all = append(all, part{"simulated/" + s.Name, func(_ context.Context, to *outcome.Report) error {
			b, err := s.Run(settings, o.seed)
			to.Benign = append(to.Benign, b)
			return err
		}})
	}
	return append(all, part{"learned/slow ramps", func(_ context.Context, to *outcome.Report) error {
		ramps, err := simulated.Ramps(settings, o.seed)
		to.Learning = append(to.Learning, ramps...)
		return err
	}}, part{"learned/legitimate shift", func(_ context.Context, to *outcome.Report) error {
		l, err := simulated.Shift(settings, o.seed)
		to.Learning = append(to.Learning, l)
		return err
	}}), nil
}

func liveParts(o *options) (all []part) {
	with := live.Options{Binary: o.binary, Log: io.Discard}
	if o.verbose {
		with.Log = os.Stderr
	}
	for _, a := range live.Attacks() {
		all = append(all, part{"attack/" + a.Name, func(ctx context.Context, to *outcome.Report) error {
			one, err := a.Run(ctx, with)
			to.Attacks = append(to.Attacks, one)
			return err
		}})
	}
	for _, s := range live.Benign() {
		all = append(all, part{"traffic/" + s.Name, func(ctx context.Context, to *outcome.Report) error {
			some, err := s.Run(ctx, with)
			to.Benign = append(to.Benign, some...)
			return err
		}})
	}
	return all
}
