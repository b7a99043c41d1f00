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

// peers are the other gateways whose windows are of use.
type peers struct {
	names []string
	at    time.Time
}

// refresh looks who there is, if that was long ago, and says whether it is known.
func (p *peers) refresh(ctx context.Context, from *store.Reader, self string, kept time.Duration) bool {
	if !p.at.IsZero() && time.Since(p.at) < peersEvery {
		return true
	}
	seen, err := from.Gateways(ctx)
	if err != nil {
		return !p.at.IsZero()
	}
	p.at, p.names = time.Now(), p.names[:0]
	newest := int64(0)
	for _, g := range seen {
		newest = max(newest, g.At)
		if g.Gateway != self && newest-g.At < kept.Milliseconds() {
			p.names = append(p.names, g.Gateway)
		}
	}
	return true
}

// of returns the gateways that are asked for a key's windows: all, or, of a large fleet, some, for each key others, and always the same
// ones, so that what is read does not grow with the fleet (rendezvous hashing).
func (p *peers) of(k baseline.Key) []string {
	if len(p.names) <= baseline.MaxPeers {
		return p.names
	}
	rank := func(gateway string) uint64 { return xxhash.Sum64String(gateway + "\x00" + k.Method + "\x00" + k.Route) }
	all := slices.Clone(p.names)
	slices.SortFunc(all, func(a, b string) int { return cmp.Compare(rank(a), rank(b)) })
	return all[:baseline.MaxPeers]
}
