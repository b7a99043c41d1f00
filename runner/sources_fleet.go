package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"fivetuple/correlator/fleet"
	"fivetuple/correlator/flow"
)

// fleetView is how a command sees the flags of the other gateways.
type fleetView struct {
	options fleet.Options
	// moment returns the kernel's time with Redis'.
	moment func(now uint64) fleet.Moment
	// flags hands over the list of flags of each gateway.
	flags func(ctx context.Context, hear func(gateway string, value []byte)) error
	close func() error
}

// addTo adds the fleet's flags to the lines of this host: with who holds what. Lists that are not sound are passed over, and
// told by the error.
func (v *fleetView) addTo(ctx context.Context, lines []sourceLine, look look, own fleet.Table) ([]sourceLine, error) {
	board, err := fleet.NewBoard(v.options, fleet.NewInstance([8]byte{})) // it tells nobody anything
	if err != nil {
		return lines, err
	}
	now := v.moment(look.now)
	if _, err := board.Own(fleet.Moment{Kernel: look.now}, own); err != nil {
		return lines, err
	}
	unsound, first := 0, error(nil)
	err = v.flags(ctx, func(gateway string, value []byte) {
		if err := board.Hear(gateway, value, true, now); err != nil {
			unsound++
			first = cmp.Or(first, err)
		}
	})
	if unsound > 0 {
		err = errors.Join(err, fmt.Errorf("lists of %d gateways are passed over; the first: %w", unsound, first))
	}
	at := make(map[string]int, len(lines)) // sources alone
	for i := range lines {
		if lines[i].Kind == "source" {
			at[lines[i].Address] = i
		}
	}
	for _, r := range board.Rows(look.now) {
		i, ok := at[r.Address.String()]
		if !ok || r.Effect == fleet.EffectEnforced { // beside a lower score of this host's own
			i = len(lines)
			lines = append(lines, sourceLine{
				Kind: "source", Address: r.Address.String(), Score: r.Score, Signals: r.Signals.String(), Origin: originOf(flow.OriginFleet),
				Since: time.UnixMilli(r.Since), Expires: look.at(r.Until),
			})
		}
		lines[i].Gateways, lines[i].Effect = r.By, r.Effect
	}
	return lines, err
}
