package main

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"fivetuple/bpf"
	"fivetuple/correlator/fleet"
	"fivetuple/correlator/flow"
	"fivetuple/correlator/watch"
)

// sourceLine is a verdict as `sources --json` prints it.
type sourceLine struct {
	Kind    string    `json:"kind"` // source, listener, host
	Address string    `json:"address"`
	Score   float64   `json:"score"`
	Signals string    `json:"signals"`
	Origin  string    `json:"origin"` // watcher, manual, fleet
	Since   time.Time `json:"since"`
	Expires time.Time `json:"expires"`
	Pardon  bool      `json:"pardon,omitempty"` // the watcher holds nothing against it meanwhile
	// Gateways are the others that hold it flagged, and Effect is what becomes of their word here.
	Gateways []string     `json:"gateways,omitempty"`
	Effect   fleet.Effect `json:"effect,omitempty"`
}

// listSources prints what this host holds, and what the rest of the fleet does. That the fleet can't be asked is told after
// what is known.
func (a *app) listSources(cmd *cobra.Command, asJSON bool) error {
	c, err := a.load()
	if err != nil {
		return err
	}
	look, err := newLook()
	if err != nil {
		return err
	}
	lines, own, err := look.readVerdicts(c.Agent.Pins.Path)
	if err != nil {
		return err
	}
	var view *fleetView
	var fleetErr error
	if a.openFleet != nil {
		if view, fleetErr = a.openFleet(cmd.Context(), c); view != nil {
			lines, fleetErr = view.addTo(cmd.Context(), lines, look, own)
			fleetErr = errors.Join(fleetErr, view.close())
		}
	}
	slices.SortFunc(lines, func(a, b sourceLine) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Address, b.Address))
	})
	if asJSON {
		return errors.Join(printSourcesJSON(cmd.OutOrStdout(), lines), fleetErr)
	}
	return errors.Join(printSources(cmd.OutOrStdout(), lines, view != nil), fleetErr)
}

// look is the moment at which a command looks, by the kernel's clock and the wall's.
type look struct {
	now  uint64
	wall time.Time
}

func newLook() (look, error) {
	clock, err := bpf.NewClock()
	if err != nil {
		return look{}, err
	}
	return look{clock.Now(), time.Now()}, nil
}

// at returns a kernel's time as people have it.
func (l look) at(ns uint64) time.Time {
	return l.wall.Add(time.Duration(ns - l.now)).Truncate(time.Millisecond) //nolint:gosec // may be before
}

// readVerdicts returns what is in force on this host, and what of it is on sources.
func (l look) readVerdicts(pins string) (lines []sourceLine, own fleet.Table, err error) {
	table, err := bpf.OpenVerdicts(pins, false)
	if err != nil {
		return nil, nil, err
	}
	own = make(fleet.Table)
	err = table.Each(func(k flow.VerdictKey, v *flow.Verdict) error {
		if v.Expires <= l.now {
			return nil
		}
		if k.Kind == flow.VerdictSource {
			own[k.Address] = *v
		}
		said := watch.Said(v)
		lines = append(lines, sourceLine{
			Kind: kindOf(k), Address: addressOf(k), Score: said.Score, Signals: said.Signals.String(), Origin: originOf(v.Origin),
			Since: l.at(v.Since), Expires: l.at(v.Expires), Pardon: v.Score == 0,
		})
		return nil
	})
	return lines, own, errors.Join(err, table.Close())
}

func originOf(origin uint8) string {
	names := [...]string{flow.OriginWatcher: "watcher", flow.OriginManual: "manual", flow.OriginFleet: "fleet"}
	if int(origin) < len(names) {
		return names[origin]
	}
	return "unknown"
}
