// Package baseline learns what is normal for the calls of a route and a method. It is pure: times are arguments,
// CLOCK_MONOTONIC nanoseconds, and it touches no file by itself.
//
// # Reading the source
//
//   - baselines.go: what calls reach; key.go: which key a call counts under.
//   - learn.go: the open window, in which a call lands; sample.go: the calls that are kept of it, fairly by source.
//   - rotate.go: when a window is closed; weights.go, tail.go: what a source may add to it; window.go: what is
//     left of it.
//   - usual.go, drift.go: from windows to what is usual; shift.go: when that is replaced.
//   - save.go, load.go: the file.
package baseline
