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
	values, err := from.Strings(ctx, keys, most)
	for i, v := range values {
		if v != nil {
			take(gateways[i], v)
		}
	}
	return err
}

// eachOfAll is each for all gateways that there are.
func eachOfAll(ctx context.Context, from *store.Reader, key func(gateway string) string, most int, take func(gateway string, value []byte)) error {
	seen, err := from.Gateways(ctx)
	if err != nil {
		return err
	}
	gateways := make([]string, 0, len(seen))
	for _, g := range seen {
		gateways = append(gateways, g.Gateway)
	}
	return each(ctx, from, gateways, key, most, take)
}

// maxBucket is the most that a bucket of all routes takes of Redis' memory, in bytes.
const maxBucket = 64 << 20

// eachOfBuckets reads a gateway's figures in some buckets, all of them before the first is handed over.
func eachOfBuckets(
	ctx context.Context, from *store.Reader, keys fleet.Keys, gateway string, buckets []report.Bucket, take func(b report.Bucket, route string, value []byte),
) error {
	names := make([]string, len(buckets))
	for i, b := range buckets {
		names[i] = keys.Figures(gateway, b.Step, b.Start)
	}
	hashes, err := from.Hashes(ctx, names, maxBucket)
	if err != nil {
		return err
	}
	for i, routes := range hashes {
		for route, value := range routes {
			take(buckets[i], route, value)
		}
	}
	return nil
}
