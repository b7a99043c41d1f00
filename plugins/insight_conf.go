package plugins

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// The groups of headers, as a route's configuration names them.
const (
	groupMatch   = "match"
	groupLatency = "latency"
	groupSize    = "size"
	groupFlow    = "flow"
	groupAnomaly = "anomaly"
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
	exposeNone     = "none" // no header: the log of calls, the metrics and the signals have the call all the same

	formatHeaders    = "headers"
	formatDictionary = "dictionary"
)

const (
	defaultPrefix   = "x-packet-"
	maxPrefixLength = 64
)

// insightConf is a route's configuration of packet-insight: JSON, all keys optional:
//
//	{"headers": ["match","latency","size","anomaly","flow"], "expose": "upstream"|"client"|"both"|"none",
//	 "prefix": "x-packet-", "format": "headers"|"dictionary", "flag_above": 0.8}
type insightConf struct {
	groups [groupCount]bool // which are wanted, as in ownedGroups
	expose string
	prefix string // lower case, ends with "-"
	format string
	names  insightNames // made of the prefix
	// flagAbove is the score above which a call is flagged; 0: as the settings say.
	flagAbove float64
	err       error // the configuration is wrong: the rest are defaults
}

func (c insightConf) withDefaults() insightConf {
	c.want(groupMatch, groupLatency, groupSize, groupAnomaly)
	c.expose, c.prefix, c.format = exposeUpstream, defaultPrefix, formatHeaders
	c.names = newInsightNames(c.prefix)
	return c
}

func (c *insightConf) toUpstream() bool { return c.expose == exposeUpstream || c.expose == exposeBoth }

func (c *insightConf) toClient() bool { return c.expose == exposeClient || c.expose == exposeBoth }

// parseInsightConf reads the JSON text; a configuration that is wrong comes with the error in it and defaults otherwise. One
// that exposes nothing goes on exposing nothing.
func parseInsightConf(in []byte) (insightConf, error) {
	c := insightConf{}.withDefaults()
	if err := parseObject(in, c.set); err != nil {
		c = insightConf{err: err}.withDefaults()
		if exposesNothing(in) {
			c.expose = exposeNone
		}
		return c, err
	}
	return c, nil
}

func (c *insightConf) set(key string, value json.RawMessage) error {
	switch key {
	case "headers":
		return c.setHeaders(value)
	case "expose":
		return choose(key, value, &c.expose, exposeUpstream, exposeClient, exposeBoth, exposeNone)
	case "format":
		return choose(key, value, &c.format, formatHeaders, formatDictionary)
	case "prefix":
		return c.setPrefix(value)
	case "flag_above":
		return setFlagAbove(value, &c.flagAbove)
	}
	return fmt.Errorf("%s is not a key; keys are headers, expose, prefix, format, flag_above", quote([]byte(key)))
}

func (c *insightConf) setHeaders(value json.RawMessage) error {
	groups, err := list("headers", value, "names")
	if err != nil {
		return err
	}
	for i, group := range groups {
		switch {
		case groupIndex(group) < 0:
			return fmt.Errorf("headers[%d]: %s is not one of match, latency, size, anomaly, flow", i, quote([]byte(group)))
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
