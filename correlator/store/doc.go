// Package store carries what gateways tell each other (correlator/fleet) to Redis and back: one server, Sentinel, or Cluster.
// Nothing waits for it, and without it everything works as before.
//
// # Reading the source
//
//   - options.go, options_contradictions.go: the settings.
//   - dial.go: a client by these settings; connect.go: one connection, encrypted or not; password.go: who one is.
//   - secret.go, log.go: a password is in no error and no log.
package store
