package plugins

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// ErrConf means that a route's configuration of a plugin is wrong.
var ErrConf = errors.New("wrong plugin configuration")

var errForeignConf = fmt.Errorf("%w: not made by this plugin", ErrConf)

// parseObject hands each key of a JSON object, in their order, to a function; the first error ends it. Nothing at all is an
// object without keys.
func parseObject(in []byte, set func(key string, value json.RawMessage) error) error {
	if len(bytes.TrimSpace(in)) == 0 {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(in))
	var keys map[string]json.RawMessage
	if err := decoder.Decode(&keys); err != nil {
		return fmt.Errorf("%w: %s is not a JSON object: %w", ErrConf, quote(in), err)
	}
	if keys == nil { // null
		return fmt.Errorf("%w: %s is not a JSON object", ErrConf, quote(in))
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: %s: text after the object", ErrConf, quote(in))
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if err := set(key, keys[key]); err != nil {
			return fmt.Errorf("%w: %w", ErrConf, err)
		}
	}
	return nil
}

// choose sets a text that must be one of those allowed.
func choose(key string, value json.RawMessage, to *string, allowed ...string) error {
	var text string
	if err := json.Unmarshal(value, &text); err != nil || !slices.Contains(allowed, text) {
		return fmt.Errorf("%s: %s is not one of %s", key, quote(value), strings.Join(allowed, ", "))
	}
	*to = text
	return nil
}

// exposesNothing reports whether a configuration has "expose": "none", whatever else is wrong with it.
func exposesNothing(in []byte) bool {
	var c struct {
		Expose string `json:"expose"`
	}
	_ = json.Unmarshal(in, &c) // what could be read of it counts
	return c.Expose == exposeNone
}

// setFlagAbove sets the score above which a call is flagged.
func setFlagAbove(value json.RawMessage, to *float64) error {
	score, ok := number(value)
	if !ok || score <= 0 || score > 1 {
		return fmt.Errorf("flag_above: %s is not a number above 0, up to 1", quote(value))
	}
	*to = score
	return nil
}

// number reads a JSON number; null is none.
func number(value json.RawMessage) (n float64, ok bool) {
	err := json.Unmarshal(value, &n)
	return n, err == nil && string(value) != "null"
}

// list reads a list of one or more texts.
func list(key string, value json.RawMessage, what string) ([]string, error) {
	var texts []string
	if err := json.Unmarshal(value, &texts); err != nil || len(texts) == 0 {
		return nil, fmt.Errorf("%s: %s is not a list of one or more %s", key, quote(value), what)
	}
	return texts, nil
}

// quote shortens foreign text for a message.
func quote(text []byte) string {
	const limit = 80
	if len(text) > limit {
		return fmt.Sprintf("%q...", text[:limit])
	}
	return fmt.Sprintf("%q", text)
}
