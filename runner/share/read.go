package share

import (
	"context"

	"fivetuple/correlator/fleet"
	"fivetuple/correlator/store"
	"fivetuple/runner/report"
)

// each reads what some gateways have under a key of their own, and hands over what there is.
func each(ctx context.Context, from *store.Reader, gateways []string, key func(gateway string) string, most int, take func(gateway string, value []byte)) error {
	keys := make([]string, 0, len(gateways))
	for _, g := range gateways {
		keys = append(keys, key(g))
	}
	return from.Strings(ctx, keys, most, func(i int, value []byte) { take(gateways[i], value) })
}

// namesOf returns the names of gateways.
func namesOf(seen []store.Seen) []string {
	gateways := make([]string, 0, len(seen))
	for _, g := range seen {
		gateways = append(gateways, g.Gateway)
	}
	return gateways
}

// maxBucket is the most that a bucket of all routes takes of Redis' memory, in bytes.
const maxBucket = 64 << 20

// eachOfBuckets reads a gateway's figures in some buckets, one bucket after the other.
func eachOfBuckets(
	ctx context.Context, from *store.Reader, keys fleet.Keys, gateway string, buckets []report.Bucket, take func(b report.Bucket, route string, value []byte),
) error {
	names := make([]string, len(buckets))
	for i, b := range buckets {
		names[i] = keys.Figures(gateway, b.Step, b.Start)
	}
	return from.Hashes(ctx, names, maxBucket, func(i int, routes map[string][]byte) {
		for route, value := range routes {
			take(buckets[i], route, value)
		}
	})
}
