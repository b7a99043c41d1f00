package report

import (
	"time"

	"fivetuple/correlator"
	"fivetuple/correlator/sketch"
)

// Query is what a report is asked for.
type Query struct {
	Since time.Duration // how far it goes back, MinSince to MaxSince
	Route *string       // of this route alone; nil: of all
}

// Report is what became of calls per route, as it is served and printed.
type Report struct {
	// From and To say which calls are in it: those that ended between them.
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// Accuracy is by how much a quantile may differ from the value at its rank, relative to that value; times are whole microseconds.
	Accuracy float64   `json:"quantile_relative_error"`
	Routes   []Route   `json:"routes"` // the one with the most calls first
	Gateways []Gateway `json:"gateways"`
	// Skipped are values of gateways that were left out.
	Skipped Skipped `json:"skipped_values"`
}

// Route is what became of a route's calls.
type Route struct {
	Route string `json:"route"`
	Calls uint64 `json:"calls"`
	// Matches are the calls by how their figures were found. ExactShare is the share of the calls with an exchange of their own.
	Matches    Matches `json:"calls_by_match"`
	ExactShare float64 `json:"exact_share"`
	Cut        uint64  `json:"cut_calls"` // their end was not seen
	// Timed is how many calls the times are of: exact ones, seen to their end.
	Timed    uint64     `json:"timed_calls"`
	Total    *Quantiles `json:"total_ms"` // null: no call had times
	Network  *Quantiles `json:"network_ms"`
	Arriving *Quantiles `json:"arriving_ms"`
	Wait     *Quantiles `json:"wait_ms"`
	Upstream *Quantiles `json:"upstream_ms"`
	Response *Quantiles `json:"response_ms"`
	Request  Traffic    `json:"request"`
	Answer   Traffic    `json:"response"`
	Flagged  uint64     `json:"flagged_calls"`
	Flags    Flags      `json:"flagged_calls_by_signal"`
}

// Matches are numbers of calls by correlator.Match.
type Matches struct {
	None       uint64 `json:"none"`
	Connection uint64 `json:"connection"`
	Shared     uint64 `json:"shared"`
	Exchange   uint64 `json:"exchange"`
}

// Quantiles of a time, in milliseconds.
type Quantiles struct {
	P50 float64 `json:"p50"`
	P90 float64 `json:"p90"`
	P99 float64 `json:"p99"`
}

// Traffic is what one direction carried: segments with payload, in IP bytes.
type Traffic struct {
	Bytes         uint64 `json:"ip_bytes"`
	Payload       uint64 `json:"payload_bytes"`
	Packets       uint64 `json:"packets"`
	Retransmitted uint64 `json:"retransmitted_packets"`
	// Ratio is the share of the packets that were sent again; null without packets.
	Ratio *float64 `json:"retransmission_ratio"`
}

// Gateway is what a gateway has counted.
type Gateway struct {
	Gateway  string    `json:"gateway"`
	Calls    uint64    `json:"calls"`
	Flagged  uint64    `json:"flagged_calls"`
	LastSeen time.Time `json:"last_seen"`
	// ClockOffset is how far its clock is ahead of Redis', in milliseconds; null where there is none.
	ClockOffset *int64 `json:"clock_offset_ms"`
	// FoldedRoutes are its routes that are Other's, because gateways have more than a report tells apart; at most MaxRoutes are counted.
	FoldedRoutes int    `json:"folded_routes"`
	FoldedCalls  uint64 `json:"folded_calls"`
}

// Skipped counts values by why they were left out.
type Skipped struct {
	Version uint64 `json:"of_unknown_version"`
	Damaged uint64 `json:"damaged"`
}

// newReport returns a report of a time without calls. Its lists are never null.
func newReport(from, to time.Time) Report {
	return Report{From: from.UTC(), To: to.UTC(), Accuracy: sketch.Accuracy, Routes: []Route{}, Gateways: []Gateway{}}
}

func matchesOf(c *Counts) Matches {
	return Matches{
		None: c.Match[correlator.MatchNone], Connection: c.Match[correlator.MatchConnection],
		Shared: c.Match[correlator.MatchShared], Exchange: c.Match[correlator.MatchExchange],
	}
}

func trafficOf(d *Direction) Traffic {
	t := Traffic{Bytes: d.Bytes, Payload: d.Payload, Packets: d.Packets, Retransmitted: d.Retransmitted}
	if d.Packets > 0 {
		ratio := float64(d.Retransmitted) / float64(d.Packets)
		t.Ratio = &ratio
	}
	return t
}
