// Package fleet is what gateways tell each other: under which names, in which values, and what one makes of what the others say.
// It is pure: it talks to no server, and times are arguments. correlator/store carries it to Redis and back.
//
// # Reading the source
//
//   - options.go: the settings; keys.go: the names, which say who has written what.
//   - values.go: what is common to all values; moment.go: the clocks; who.go: what a gateway says of itself; events.go: what it
//     has flagged, one after the other.
//   - flags.go: the sources that a gateway holds flagged, as it tells them: own.go and say.go; hear.go and behind.go are the
//     other side.
//   - board.go: what all gateways hold against sources (claims.go), and what of it counts here (quorum.go, tally.go,
//     exempt.go), or does not (rows.go).
package fleet
