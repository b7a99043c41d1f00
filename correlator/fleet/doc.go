// Package fleet is what gateways tell each other: under which names, in which values, and what one makes of what the others say.
// It is pure: it talks to no server, and times are arguments. correlator/store carries it to Redis and back.
//
// # Reading the source
//
//   - options.go: the settings; keys.go: the names, which say who has written what.
//   - values.go: what is common to all values; who.go: what a gateway says of itself; flags.go: the sources that it has flagged.
//   - board.go: what all gateways hold against sources, and what of it counts here.
package fleet
