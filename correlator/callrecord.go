package correlator

import (
	"fivetuple/correlator/flow"
	"fivetuple/correlator/signal"
)

// Identity is who a call was, as the gateway names it. It holds no memory of the request.
type Identity struct {
	Route   Route
	Method  string   // as in the gateway's protocol: a constant
	TraceID [16]byte // of the header traceparent (W3C Trace Context); zero: none
	Path    string   // "" unless paths are to be recorded; a hash, or the whole
}

// Text is a short text without memory of its own; what does not fit is cut.
type Text struct {
	length uint8
	bytes  [maxText]byte
}

const maxText = 63

// NewText returns a text's first 63 bytes.
func NewText(s string) (t Text) {
	t.length = uint8(copy(t.bytes[:], s))
	return t
}

// String returns the text.
func (t *Text) String() string { return string(t.bytes[:t.length]) }

// CallRecord is everything known of a call that has ended.
type CallRecord struct {
	Identity
	Tuple
	// FlowID is the connection's Community ID, FlowStart the time of its first packet: together they name it.
	FlowID    string
	FlowStart uint64

	Match  Match
	Reason Reason
	// Missed is the number of calls that met no plugin: right before this one, or, where the match is MatchShared, whose
	// figures may be among this one's, because they came right after it.
	Missed        uint64
	Partial       bool // the body had not all arrived when the call ended
	LengthUnknown bool // chunked: no length was checked
	TLS           bool // no length was checked
	Handshake     bool // the end of the TLS handshake may be among the figures
	Upgraded      bool // the connection changed its protocol: the figures are those of all that came after
	// Cut: the call's end was not seen, because the record of its connection went, the runner ended, or room was needed.
	Cut bool

	// First and Last are the numbers of the call's exchanges. First is 0 where they are counted with the call before, with
	// which this one shares them: then the figures are 0, so that each packet is in one record.
	First, Last       uint32
	Request, Response Traffic
	At                Moments
	RTT               RTT
	Split             Split

	// Judged: Facts are what is not normal about the call, now that it has ended; what was said of it before stays.
	Judged bool
	Facts  signal.Facts
	// Flagged: their score is above what the call's route allows.
	Flagged bool
}

// Traffic is what one direction carried of a call: segments with payload, in IP bytes. What follows the span is of all its
// segments, between this call's look-up and the next one's.
type Traffic struct {
	flow.Span
	Retransmitted uint32
	OutOfOrder    uint32
	ZeroWindow    uint32
	// Waited is how long retransmission time-outs took: nanoseconds, to a millisecond, from the last payload until some was
	// sent again, if 100 or more of them; mod 65.5 s.
	Waited uint64
	// Duplicates, of the response: segments sent again that the client says it had already (RFC 2883).
	Duplicates uint32
	// WindowUpdates, of the response: the client had fallen behind with reading, and said that it has room again.
	WindowUpdates uint32
}

// Moments are a call's times, CLOCK_MONOTONIC nanoseconds; 0: not seen.
type Moments struct {
	FirstRequest  uint64 // first segment with payload of the request
	LastRequest   uint64
	Plugin        uint64 // the gateway called the plugin
	FirstResponse uint64
	LastResponse  uint64
	Acknowledged  uint64 // the peer acknowledged the last byte of the response
}
