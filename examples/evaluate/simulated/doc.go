// Package simulated evaluates in simulated time: hosts call a gateway over roads of their own, a model of the kernel program
// keeps the records of it, and the real watcher, judge, baselines, correlator and packet-guard work on those, by their
// default settings. An hour takes seconds, so that there are enough calls to say how rare a false alarm is.
//
// # Reading the source
//
//   - world.go: what is there; events.go: what happens when; look.go: what agent and runner do once a second.
//   - table.go, record.go: the kernel's tables and records; handshake.go, send.go: segments on a road with a round trip and
//     loss.
//   - client.go: a connection that makes calls; guard.go: the gateway's question to packet-guard; user.go: people.
//   - benign.go: the scenarios, one file each; ramp.go, shift.go: what can be made usual, and by whom.
package simulated
