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

// The groups of headers, as a route's configuration names them.
const (
	groupMatch   = "match"
	groupLatency = "latency"
	groupSize    = "size"
	groupFlow    = "flow"
	groupAnomaly = "anomaly" // not there yet
)

// groupCount is how many groups there are.
const groupCount = 5

// ownedGroups returns every group of which a header can come, in the order in which they are written.
func ownedGroups() [groupCount]string {
	return [...]string{groupMatch, groupLatency, groupSize, groupAnomaly, groupFlow}
}

// Values of insightConf.expose and insightConf.format.
const (
	exposeUpstream = "upstream"
	exposeClient   = "client"
	exposeBoth     = "both"

	formatHeaders    = "headers"
	formatDictionary = "dictionary"
)

const (
	defaultPrefix   = "x-packet-"
	maxPrefixLength = 64
)

// ErrConf means that a route's configuration of a plugin is wrong.
var ErrConf = errors.New("wrong plugin configuration")

var errForeignConf = fmt.Errorf("%w: not made by this plugin", ErrConf)

// insightConf is a route's configuration of packet-insight: JSON, all keys optional:
//
//	{"headers": ["match","latency","size","flow"], "expose": "upstream"|"client"|"both",
//	 "prefix": "x-packet-", "format": "headers"|"dictionary"}
type insightConf struct {
	groups [groupCount]bool // which are wanted, as in ownedGroups
	expose string
	prefix string // lower case, ends with "-"
	format string
	names  insightNames // made of the prefix
	err    error        // the configuration is wrong: the rest are defaults
}

func (c insightConf) withDefaults() insightConf {
	c.want(groupMatch, groupLatency, groupSize)
	c.expose, c.prefix, c.format = exposeUpstream, defaultPrefix, formatHeaders
	c.names = newInsightNames(c.prefix)
	return c
}

func (c *insightConf) toUpstream() bool { return c.expose != exposeClient }
func (c *insightConf) toClient() bool   { return c.expose != exposeUpstream }

// parseInsightConf reads the JSON text; a configuration that is wrong comes with the error in it and defaults otherwise.
func parseInsightConf(in []byte) (insightConf, error) {
	c := insightConf{}.withDefaults()
	if err := c.parse(in); err != nil {
		err = fmt.Errorf("%w: %w", ErrConf, err)
		return insightConf{err: err}.withDefaults(), err
	}
	return c, nil
}

func (c *insightConf) parse(in []byte) error {
	if len(bytes.TrimSpace(in)) == 0 {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(in))
	var keys map[string]json.RawMessage
	if err := decoder.Decode(&keys); err != nil {
		return fmt.Errorf("%s is not a JSON object: %w", quote(in), err)
	}
	if keys == nil { // null
		return fmt.Errorf("%s is not a JSON object", quote(in))
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: text after the object", quote(in))
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if err := c.set(key, keys[key]); err != nil {
			return err
		}
	}
	return nil
}

func (c *insightConf) set(key string, value json.RawMessage) error {
	switch key {
	case "headers":
		return c.setHeaders(value)
	case "expose":
		return choose(key, value, &c.expose, exposeUpstream, exposeClient, exposeBoth)
	case "format":
		return choose(key, value, &c.format, formatHeaders, formatDictionary)
	case "prefix":
		return c.setPrefix(value)
	}
	return fmt.Errorf("%s is not a key; keys are headers, expose, prefix, format", quote([]byte(key)))
}

func (c *insightConf) setHeaders(value json.RawMessage) error {
	var groups []string
	if err := json.Unmarshal(value, &groups); err != nil || len(groups) == 0 {
		return fmt.Errorf("headers: %s is not a list of one or more names", quote(value))
	}
	for i, group := range groups {
		switch {
		case group == groupAnomaly:
			return fmt.Errorf("headers[%d]: %q is not there yet", i, group)
		case groupIndex(group) < 0:
			return fmt.Errorf("headers[%d]: %s is not one of match, latency, size, flow", i, quote([]byte(group)))
		case slices.Contains(groups[:i], group):
			return fmt.Errorf("headers[%d]: %q is there twice", i, group)
		}
	}
	c.want(groups...)
	return nil
}

// want takes the groups in place of those before.
func (c *insightConf) want(groups ...string) {
	c.groups = [groupCount]bool{}
	for _, group := range groups {
		c.groups[groupIndex(group)] = true
	}
}

// groupIndex returns the group's place in ownedGroups; -1 if it is none.
func groupIndex(group string) int {
	all := ownedGroups()
	return slices.Index(all[:], group)
}

func (c *insightConf) setPrefix(value json.RawMessage) error {
	var prefix string
	if err := json.Unmarshal(value, &prefix); err != nil {
		return fmt.Errorf("prefix: %s is not text", quote(value))
	}
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789-"
	if len(prefix) < 2 || len(prefix) > maxPrefixLength || strings.Trim(prefix, letters) != "" ||
		!strings.HasSuffix(prefix, "-") || prefix[0] == '-' {
		return fmt.Errorf(`prefix: %s is not 2..%d of a-z, 0-9 and "-" that begin with none and end with "-"`,
			quote([]byte(prefix)), maxPrefixLength)
	}
	c.prefix, c.names = prefix, newInsightNames(prefix)
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

// quote shortens foreign text for a message.
func quote(text []byte) string {
	const limit = 80
	if len(text) > limit {
		return fmt.Sprintf("%q...", text[:limit])
	}
	return fmt.Sprintf("%q", text)
}
