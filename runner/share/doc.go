// Package share is a runner's part in its fleet: it tells other gateways through Redis what this one has learned, flagged and
// counted, and takes what they say to where it counts. It is never on the request path: everything here runs in goroutines of its
// own, and what calls touch (baselines, the list of sources) lies in memory, whatever becomes of Redis.
//
// # Reading the source
//
//   - share.go: the parts and their goroutines; voice.go: which of two processes speaks, while one takes over from the other.
//   - baselines.go: windows of calls, out and in; peers.go: of which gateways.
//   - flags.go: sources that are held flagged, out and in.
//   - figures.go: figures of calls, out; events.go: what was flagged, out.
//   - who.go: what this gateway says of itself, and what it notices about others.
//   - look.go, look_events.go: what commands read of the whole fleet; read.go: how values of several gateways are read.
package share
