package fleet

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strings"
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

const (
	// EventField is the field of a stream's entry that has the event.
	EventField = "event"
	// MaxEvent is the longest event that is read, in bytes.
	MaxEvent = 4 << 10

	// Bounds of an event's texts, in bytes.
	maxRoute, maxMethod, maxRequestID = 128, 32, 63
)

// Event is an entry of a gateway's stream. Its time is that of the entry's id, by Redis' clock; its gateway is the key's.
type Event struct {
	Head
	Kind    Kind    `json:"kind"`
	Route   string  `json:"route,omitempty"`
	Method  string  `json:"method,omitempty"`
	Score   float64 `json:"score,omitempty"`   // 0 to 1
	Signals string  `json:"signals,omitempty"` // names, separated by spaces
	// Address is the source's; no address unless verdicts are shared.
	Address netip.Addr `json:"address,omitzero"`
	// Peer is the other gateway that it is about.
	Peer string `json:"peer,omitempty"`
	// RequestID, Connection and Requests name a call, as the gateway's log does.
	RequestID  string `json:"request_id,omitempty"`
	Connection uint64 `json:"connection,omitempty"`
	Requests   uint64 `json:"connection_requests,omitempty"`
}

// Encode returns the event's text. Its texts are cut to their bounds.
func (e Event) Encode() ([]byte, error) {
	e.Head = newHead()
	e.Route, e.Method, e.RequestID = cut(e.Route, maxRoute), cut(e.Method, maxMethod), cut(e.RequestID, maxRequestID)
	e.Score = math.Round(e.Score*1000) / 1000
	if err := e.Valid(); err != nil {
		return nil, fmt.Errorf("encode event: %w", err)
	}
	return Encode(e)
}

// DecodeEvent reads an event. The error is ErrVersion or ErrDamaged. What it has of texts is as it was written: whoever shows
// them has to mind what is not printable.
func DecodeEvent(text []byte) (e Event, err error) {
	if len(text) > MaxEvent {
		return Event{}, fmt.Errorf("%w: %d bytes", ErrDamaged, len(text))
	}
	if err := Decode(text, &e); err != nil {
		return Event{}, err
	}
	return e, nil
}

// Valid says what no gateway can have said.
func (e *Event) Valid() error {
	var errs []error
	switch e.Kind {
	case KindCall, KindSource, KindBaselineShift, KindSameID, KindStrangers:
	default:
		errs = append(errs, errors.New("kind: unknown"))
	}
	for _, t := range []struct {
		name, text string
		most       int
	}{{"route", e.Route, maxRoute}, {"method", e.Method, maxMethod}, {"request_id", e.RequestID, maxRequestID}} {
		if len(t.text) > t.most {
			errs = append(errs, fmt.Errorf("%s: %d bytes, at most %d", t.name, len(t.text), t.most))
		}
	}
	if !(e.Score >= 0 && e.Score <= 1) {
		errs = append(errs, errors.New("score: not in 0..1"))
	}
	if !isPlain(e.Signals, maxSignals) {
		errs = append(errs, errors.New("signals: no names"))
	}
	if e.Address.IsValid() {
		errs = append(errs, checkAddress(e.Address))
	}
	if e.Peer != "" {
		errs = append(errs, ValidName(e.Peer))
	}
	return errors.Join(errs...)
}

// cut returns a text's first bytes, as JSON can have them.
func cut(text string, most int) string {
	text = strings.ToValidUTF8(text, "?")
	return strings.ToValidUTF8(text[:min(len(text), most)], "")
}
