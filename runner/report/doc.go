// Package report keeps the figures of finished calls per route for a sliding day, in little memory, and makes reports of them:
// of this gateway's, or of those of several. Times are arguments: it reads no clock.
//
// # Reading the source
//
//   - figures.go: where a finished call goes; ring.go and cell.go: where it is kept; counts.go and times.go: what of it.
//   - span.go: which buckets a report is made of.
//   - value.go: a route's figures in a bucket as one value, for other gateways to read; changed.go: which are to be published.
//   - report.go: what a report says; sum.go, local.go and collect.go: how it is made, of this gateway's figures and of several's;
//     rows.go: which routes it tells apart, if there are too many.
//   - handler.go and fetch.go: the report of a runner over HTTP.
package report
