package plugins

import (
	"encoding/hex"

	"fivetuple/correlator"
)

// routed is a request that says whose configuration runs: our own server's, not the library's.
type routed interface{ Route() correlator.Route }

// identify fills in who the call is, as far as its record wants it. Nothing of the request's memory is kept.
func (g *gateway) identify(call *correlator.Call) {
	if r, ok := g.r.(routed); ok {
		call.Route = r.Route()
	}
	call.Method = g.r.Method()
	header := g.r.Header()
	call.Upgrade = header.Get("Upgrade") != ""
	call.TraceID = traceID(header.Get("Traceparent"))
}

// traceID reads the trace id of a header traceparent (W3C Trace Context, 3.2.2): version, trace id, parent id and flags.
// One that is malformed says nothing, as the specification wants it.
func traceID(text string) (id [16]byte) {
	const length = len("00-") + 2*len(id) + len("-0123456789abcdef-00")
	if len(text) < length || text[2] != '-' || text[35] != '-' || text[52] != '-' || text[:2] == "ff" {
		return [16]byte{}
	}
	var digits [2 * len(id)]byte
	copy(digits[:], text[3:])
	for _, c := range digits { // capitals are malformed there
		if c >= 'A' && c <= 'F' {
			return [16]byte{}
		}
	}
	if _, err := hex.Decode(id[:], digits[:]); err != nil {
		return [16]byte{}
	}
	return id
}
