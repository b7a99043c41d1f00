// Package live attacks a running gateway in network namespaces of its own: agent and runner as they are, the stand-in
// gateway and an upstream, beside an honest client. Nothing leaves the namespaces.
//
// # Reading the source
//
//   - scene.go: what is running; flags.go: how flags are seen, in the kernel's table and in the log of calls.
//   - attack.go: the attacks, and how one is played; raw.go, repeat.go: packets that no socket sends.
//   - honest.go: calls as honest clients make them; benign.go: ordinary traffic.
package live
