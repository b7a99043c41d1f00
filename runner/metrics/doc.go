// Package metrics counts what the runner does, for Prometheus. No label is ever an address, a port or a path: labels are a
// route's, whose number is bounded, or words of a fixed list.
//
// # Reading the source
//
//   - calls.go: histograms and counters of finished calls, by route; series.go bounds their labels.
//   - runner.go: what server, plugins, correlator and queues count, baselines.go what was learned, redis.go: what goes to Redis and comes from there; tables.go: what the kernel's tables do.
//   - lookups.go: look-ups by their result.
//   - listen.go: where all of it is read; ready.go: whether there are records.
package metrics
