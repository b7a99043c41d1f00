// Package baseline learns what is normal for the calls of a route and a method. It is pure: times are arguments,
// CLOCK_MONOTONIC nanoseconds, and it touches no file by itself.
//
// # Learning together
//
// After Share, gateways learn together. Each publishes the windows that it has closed of its own calls (Published), asks for
// those of the others (Wants), and is told of them (Merge); who carries them is not a matter of this package. What others
// say of a period is put together into one window, and what is usual is made of own windows and those. Sketches are merged,
// never quantiles, so that a quantile is as exact as over all gateways' values. How often a key is called is another matter
// on each gateway: its rate is that of its own calls, once they are enough for a verdict. The file has own windows only.
//
// A gateway counts by its calls: one with far more traffic weighs more, up to the one with the second most, or to its share
// where there are enough (gateways.go). A wrong or hostile one is bounded by that, by the cut of its tail, and by Drift.
//
// Settings may differ. Windows of another length have other periods, so that their gateways do not meet. With more min_calls
// here, another one's lighter windows are left out; with more windows here, older periods are asked for, as long as they are
// kept. With a greater source_share there, a few of its sources may shape its windows: it still counts for one gateway here.
//
// # Reading the source
//
//   - baselines.go: what calls reach; key.go: which key a call counts under.
//   - learn.go: the open window, in which a call lands; sample.go: the calls that are kept of it, fairly by source.
//   - rotate.go: when a window is closed; weights.go, tail.go: what a source may add to it; window.go: what is
//     left of it.
//   - usual.go, renew.go, drift.go: from windows to what is usual; shift.go: when that is replaced.
//   - publish.go, value.go: what others are told; wants.go: what they are asked; merge.go: what is made of it, and
//     gateways.go, pool.go, part.go, fleet.go: how much a gateway may add; strangers.go: who is in the wrong fleet.
//   - save.go, load.go: the file.
package baseline
