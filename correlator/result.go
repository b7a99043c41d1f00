package correlator

import (
	"errors"

	"fivetuple/correlator/flow"
	"fivetuple/correlator/signal"
)

// Match says how a call's figures were found.
type Match uint8

// The matches.
const (
	// MatchNone: there are no figures; Result.Reason says why.
	MatchNone Match = iota
	// MatchConnection: the figures are the connection's (HTTP/2).
	MatchConnection
	// MatchShared: the figures are of exchanges that other calls have a part in.
	MatchShared
	// MatchExchange: the figures are of this call's exchanges alone.
	MatchExchange
)

// String returns the match as headers have it.
func (m Match) String() string {
	return [...]string{MatchNone: "none", MatchConnection: "connection", MatchShared: "shared", MatchExchange: "exchange"}[m]
}

// Reason says why a match is less than an exchange; "" if there is nothing to say.
type Reason string

// The reasons.
const (
	ReasonTuple         Reason = "tuple"          // the gateway named no usable 5-tuple
	ReasonConfig        Reason = "config"         // the route's configuration of the plugin is wrong
	ReasonPins          Reason = "pins"           // no tables
	ReasonLayout        Reason = "layout"         // tables of another version
	ReasonStale         Reason = "stale"          // the agent gives no sign of life
	ReasonUnknownFlow   Reason = "unknown-flow"   // no record of this connection
	ReasonQUIC          Reason = "quic"           // HTTP/3 is not tracked per call
	ReasonBusy          Reason = "busy"           // the record was being written at every look
	ReasonUnseen        Reason = "unseen"         // the record has no payload of the client
	ReasonTable         Reason = "table"          // any other failure of the table
	ReasonContended     Reason = "contended"      // the record lacks segments: they were counted without their place
	ReasonEarlyResponse Reason = "early-response" // the call before was answered before its body had arrived
)

// ReasonOf names why a table cannot be read. The error is one of flow.Table's, but not flow.ErrNotFound.
func ReasonOf(err error) Reason {
	for _, known := range []struct {
		err    error
		reason Reason
	}{
		{flow.ErrNoTable, ReasonPins},
		{flow.ErrLayout, ReasonLayout},
		{flow.ErrStale, ReasonStale},
		{flow.ErrBusy, ReasonBusy},
	} {
		if errors.Is(err, known.err) {
			return known.reason
		}
	}
	return ReasonTable
}

// Result is what is known of a call when its plugin runs. Times are in microseconds.
type Result struct {
	Match  Match
	Reason Reason
	// Number is that of the call's first exchange; for MatchShared, of the first that it has a part in.
	Number uint32
	// Partial: the body is still arriving.
	Partial bool
	// LengthUnknown: the body is chunked, so that its end was not checked.
	LengthUnknown bool
	// TLS: bytes are those of TLS records, so that no length was checked.
	TLS bool
	// Handshake: the end of the TLS handshake may be among the figures.
	Handshake bool
	// Missed is the number of calls on this connection that met no plugin right before this one.
	Missed uint64

	RTT    RTT
	Timing Timing
	Size   Size
	// FlowID is the connection's Community ID; "" if the tuple is not known.
	FlowID string

	// Judged: Facts are what is not normal about the call, as far as is known. Learning: its baseline is not ready.
	Judged, Learning bool
	Facts            signal.Facts
}

// RTT is the round trip to the peer, in microseconds; 0 for what was not measured.
type RTT struct {
	Now       uint32 // smoothed
	Min       uint32
	Handshake uint64 // from the gateway's SYN-ACK to its acknowledgement
}

// Timing are the times of the call's request packets, in microseconds.
type Timing struct {
	Known bool
	Recv  uint64 // from the first to the last packet with payload
	Wait  uint64 // from the last one to the plugin
}

// Size is what arrived of the call until the plugin ran.
type Size struct {
	Known bool
	flow.Span
	Min, Max uint16 // IP bytes of the smallest and the largest packet; 0: not known
}

// Found is what a plugin found of a call, for those that run on it after.
type Found struct {
	Known     bool // the rest was looked for
	Tuple     Tuple
	From      TupleSource
	FlagAbove float64 // as it was asked for
	Result    Result
}
