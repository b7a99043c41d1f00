package share

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"

	"fivetuple/correlator/baseline"
	"fivetuple/correlator/store"
)

// peersEvery is how often it is looked who else there is.
const peersEvery = 10 * time.Second

// peers are the other gateways whose windows are of use: those that are proven, and other names on the list (store.Seen).
type peers struct {
	proven, others []string
	at             time.Time
}

// refresh looks who there is, if that was long ago, and says whether it is known.
func (p *peers) refresh(ctx context.Context, from *store.Reader, self string, kept time.Duration) bool {
	if !p.at.IsZero() && time.Since(p.at) < peersEvery {
		return true
	}
	seen, _, err := from.Gateways(ctx)
	if err != nil {
		return !p.at.IsZero()
	}
	p.at, p.proven, p.others = time.Now(), nil, nil
	newest := int64(0)
	for _, g := range seen {
		newest = max(newest, g.At)
		switch {
		case g.Gateway == self || newest-g.At >= kept.Milliseconds():
		case g.IsProven:
			p.proven = append(p.proven, g.Gateway)
		default:
			p.others = append(p.others, g.Gateway)
		}
	}
	return true
}

// of returns the gateways that are asked for a key's windows: all, or, of a large fleet, some, for each key others, and always the same
// ones, so that what is read does not grow with the fleet. Names that are not proven take only the places that are left: they may be
// of gateways that have ended, whose windows are still of use, or of none, which would crowd out those that are there.
func (p *peers) of(k baseline.Key) []string {
	some := chosen(k, p.proven, baseline.MaxPeers)
	return slices.Concat(some, chosen(k, p.others, baseline.MaxPeers-len(some)))
}

// chosen returns at most so many of some gateways (rendezvous hashing).
func chosen(k baseline.Key, gateways []string, most int) []string {
	if len(gateways) <= most {
		return gateways
	}
	rank := func(gateway string) uint64 { return xxhash.Sum64String(gateway + "\x00" + k.Method + "\x00" + k.Route) }
	all := slices.Clone(gateways)
	slices.SortFunc(all, func(a, b string) int { return cmp.Compare(rank(a), rank(b)) })
	return all[:most]
}
