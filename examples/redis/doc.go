// Package redistest starts real Redis servers for tests, and breaks them: one server, a primary with a replica under three
// Sentinels, a Cluster of three nodes. Nothing is written outside the test's folder, no port is fixed, and every process ends
// with the test, also where the test is killed.
//
// # Reading the source
//
//   - start.go: one server and how it is set up; process.go: the process; port.go: where it listens; client.go: who asks it.
//   - faults.go: killed, stopped, restarted empty, full, disconnected; drop.go: packets that do not arrive.
//   - users.go: the ACL file; certificates.go, sign.go: TLS.
//   - sentinel.go, cluster.go, reshard.go: more than one server.
package redistest
