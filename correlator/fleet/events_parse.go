package fleet

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"

	"fivetuple/correlator/signal"
)

// ParseEvent reads an entry's fields, as the client of Redis has them. The error is ErrVersion or ErrDamaged. What it has of
// texts is as it was written: whoever shows them has to mind what is not printable.
func ParseEvent(fields map[string]any) (e Event, err error) {
	v, _ := fields["v"].(string)
	if n, err := strconv.ParseUint(v, 10, 32); err != nil {
		return Event{}, fmt.Errorf("%w: its version is no number", ErrDamaged)
	} else if n != Version {
		return Event{}, fmt.Errorf("%w: %d, this program knows %d", ErrVersion, n, Version)
	}
	if len(fields) > maxFields {
		return Event{}, fmt.Errorf("%w: %d fields", ErrDamaged, len(fields))
	}
	for name, value := range fields {
		text, ok := value.(string)
		if !ok {
			return Event{}, fmt.Errorf("%w: a field is no text", ErrDamaged)
		}
		if err := e.set(name, text); err != nil {
			return Event{}, fmt.Errorf("%w: %w", ErrDamaged, err)
		}
	}
	if e.Kind == "" {
		return Event{}, fmt.Errorf("%w: it has no kind", ErrDamaged)
	}
	return e, nil
}

func (e *Event) set(name, value string) (err error) {
	switch name {
	case "v":
	case "kind":
		e.Kind, err = parseKind(value)
	case "route":
		e.Route, err = parseText(name, value, maxRoute)
	case "method":
		e.Method, err = parseText(name, value, maxMethod)
	case "score":
		e.Score, err = parseScore(value)
	case "signals":
		e.Signals, err = parseSignals(value)
	case "address":
		if e.Address, err = netip.ParseAddr(value); err == nil {
			err = checkAddress(e.Address)
		}
	case "peer":
		e.Peer, err = value, ValidName(value)
	case "request_id":
		e.RequestID, err = parseText(name, value, maxRequestID)
	case "connection":
		e.Connection, err = strconv.ParseUint(value, 10, 64)
	case "requests":
		e.Requests, err = strconv.ParseUint(value, 10, 64)
	default:
		err = errors.New("a field is unknown")
	}
	return err
}

func parseKind(text string) (Kind, error) {
	switch k := Kind(text); k {
	case KindCall, KindSource, KindBaselineShift, KindSameID, KindStrangers:
		return k, nil
	}
	return "", errors.New("kind: unknown")
}

func parseText(name, text string, most int) (string, error) {
	if len(text) > most {
		return "", fmt.Errorf("%s: %d bytes, at most %d", name, len(text), most)
	}
	return text, nil
}

func parseScore(text string) (float64, error) {
	score, err := strconv.ParseFloat(text, 64)
	if err != nil || !(score >= 0 && score <= 1) {
		return 0, errors.New("score: not in 0..1")
	}
	return score, nil
}

// parseSignals reads names that Set.String has written. Those that are unknown are left out: a newer gateway may have more.
func parseSignals(text string) (set signal.Set, err error) {
	if !isPlain(text, maxSignals) {
		return 0, errors.New("signals: no names")
	}
	return known(text), nil
}

// cut returns a text's first bytes.
func cut(text string, most int) string { return text[:min(len(text), most)] }
