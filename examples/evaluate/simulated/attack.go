package simulated

import (
	"fmt"
	"slices"
	"time"

	"fivetuple/correlator"
	"fivetuple/correlator/flow"
	"fivetuple/correlator/signal"
	"fivetuple/examples/evaluate/outcome"
)

// Attack is one that is played again and again, each time beginning at another moment, beside ordinary people.
type Attack struct {
	Name, Kind, Rate string
	Sources          int
	play             func(*world)
}

const (
	trials = 20
	// attackTime is how long an attack lasts at most, peace how long it is before one, at least, and aftermath how long it
	// goes on when it was found.
	attackTime = 20 * time.Second
	peace      = 90 * time.Second
	aftermath  = 5 * time.Second
)

// Run plays it. The figures are of all trials.
func (a *Attack) Run(settings Settings, seed uint64) (outcome.Attack, error) {
	result := outcome.Attack{
		Name: a.Name, Kind: a.Kind, Where: outcome.Simulated, Rate: a.Rate, Sources: a.Sources, Trials: trials,
		Duration: attackTime.Seconds(), Honest: &outcome.Honest{}, Fixed: outcome.FixedLimits(nil, 0),
	}
	var seconds []float64
	for n := range trials {
		one, ok, err := a.try(settings, seed+uint64(n)*1000, &result)
		if err != nil {
			return result, fmt.Errorf("%s: %w", a.Name, err)
		}
		if ok {
			seconds = append(seconds, one)
		}
	}
	result.Found = len(seconds) == trials
	result.Seconds = outcome.Median(seconds)
	if len(seconds) > 0 {
		result.Worst = slices.Max(seconds)
	}
	return result, nil
}

// try plays it once.
func (a *Attack) try(settings Settings, seed uint64, result *outcome.Attack) (seconds float64, found bool, err error) {
	var beside outcome.Benign
	w, err := newWorld(settings, seed, &beside)
	if err != nil {
		return 0, false, err
	}
	w.people(30, home(), 20*time.Second, peace+2*attackTime)
	o := observer{w: w, result: result, honest: map[[16]byte]bool{}}
	for n := range w.hosts {
		o.honest[address(n+1)] = true
	}
	w.run(peace + w.pause(time.Second))
	result.Honest.Flagged += beside.Flags
	begin := w.now
	w.ended, w.began = o.ended, o.began
	a.play(w)
	for w.now < begin+uint64(attackTime) && (o.first == 0 || w.now < o.first+uint64(aftermath)) {
		w.run(time.Second)
	}
	for i, f := range outcome.FixedLimits(w.fixed.Alarms(), begin) {
		if f.Found && !result.Fixed[i].Found {
			result.Fixed[i] = f
		}
	}
	return float64(o.first-begin) / 1e9, o.first != 0, w.err
}

// observer tells flags on attackers from those on honest people.
type observer struct {
	w      *world
	result *outcome.Attack
	honest map[[16]byte]bool
	first  uint64 // when the first flag on an attacker came
}

func (o *observer) ended(r *correlator.CallRecord) {
	if o.honest[r.Peer.Addr().As16()] {
		o.result.Honest.Calls++
	}
	if r.Flagged {
		o.note("call", r.Peer.Addr().As16(), r.Facts.Verdict(signal.All))
	}
}

func (o *observer) began(key flow.VerdictKey, v signal.Verdict) {
	o.note(outcome.On(key), key.Address, v)
}

func (o *observer) note(on string, address [16]byte, v signal.Verdict) {
	if o.honest[address] {
		o.result.Honest.Flagged++
		return
	}
	if o.first == 0 {
		o.first = o.w.now
	}
	o.result.Saw(on, v.Signals.String())
}
