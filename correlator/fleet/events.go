package fleet

import (
	"math"
	"net/netip"
	"strconv"

	"fivetuple/correlator/signal"
)

// Kind says what an Event is of.
type Kind string

// The kinds of events.
const (
	KindCall          Kind = "call"           // a call was flagged
	KindSource        Kind = "source"         // an address was flagged
	KindBaselineShift Kind = "baseline-shift" // what is normal has changed
	KindSameID        Kind = "same-id"        // another gateway has this one's name
	KindStrangers     Kind = "strangers"      // gateways whose routes are others: two fleets of one name
)

// Bounds of an event's texts in bytes, and of its fields.
const (
	maxRoute, maxMethod, maxRequestID = 128, 32, 63
	maxFields                         = 16
)

// Event is an entry of a gateway's stream. Its time is that of the entry's id, by Redis' clock; its gateway is the key's.
type Event struct {
	Kind    Kind
	Route   string
	Method  string
	Score   float64 // 0 to 1
	Signals signal.Set
	// Address is the source's; no address unless verdicts are shared.
	Address netip.Addr
	// Peer is the other gateway that it is about.
	Peer string
	// RequestID, Connection and Requests name a call, as the gateway's log does.
	RequestID            string
	Connection, Requests uint64
}

// Fields returns the entry's fields, name and value in turn. Texts are cut to their bounds, and what is not known is left out.
func (e *Event) Fields() []string {
	fields := []string{"v", strconv.Itoa(Version), "kind", string(e.Kind)}
	add := func(name, value string) {
		if value != "" {
			fields = append(fields, name, value)
		}
	}
	add("route", cut(e.Route, maxRoute))
	add("method", cut(e.Method, maxMethod))
	if e.Score != 0 {
		add("score", strconv.FormatFloat(math.Round(e.Score*1000)/1000, 'f', -1, 64))
	}
	add("signals", e.Signals.String())
	if e.Address.IsValid() {
		add("address", e.Address.String())
	}
	add("peer", e.Peer)
	add("request_id", cut(e.RequestID, maxRequestID))
	if e.Connection != 0 {
		add("connection", strconv.FormatUint(e.Connection, 10))
	}
	if e.Requests != 0 {
		add("requests", strconv.FormatUint(e.Requests, 10))
	}
	return fields
}
