package fleet

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"

	"fivetuple/correlator/baseline"
)

// Who has written a value is what its key says, and nothing in the value: an ACL holds each gateway to its own prefix
// (conf/redis/fivetuple.acl). The part in braces decides the slot in a Redis Cluster; it is the fleet's, or, of the keys that
// there are many of, the fleet's with two hex digits of a hash, which spread them over 256 slots. It has a fixed length and the
// names have neither colons nor braces, so that no key of one gateway can be read as another's.
//
//	fivetuple:{FLEET}:gateways                                  sorted set: gateways by when they were last there
//	fivetuple:{FLEET}:gw:ID                                     channel: flags as they come and go
//	fivetuple:{FLEET}:gw:ID:who                                 string: who the gateway is
//	fivetuple:{FLEET}:gw:ID:flags                               string: the sources that it holds flagged
//	fivetuple:{FLEET}:gw:ID:events                              stream: what it has flagged
//	fivetuple:{FLEET}:gw:ID:figures:STEP:START                  hash by route: figures of calls
//	fivetuple:{FLEET}:gw:ID:baseline:PERIOD:METHOD:ROUTE        string: a closed window
const root = "fivetuple:"

// Keys makes the names of one fleet.
type Keys struct {
	fleet    string
	isSpread bool
}

// NewKeys returns the names of a fleet; with isSpread, its baselines and figures lie in 256 slots of a Redis Cluster.
func NewKeys(fleet string, isSpread bool) Keys { return Keys{fleet, isSpread} }

// Gateways is the key of the list of gateways: whoever may write may add to it, so that it is a hint where to look, no more.
func (k Keys) Gateways() string { return root + "{" + k.fleet + "}:gateways" }

// Channel is where a gateway publishes its flags.
func (k Keys) Channel(gateway string) string { return k.of(gateway) }

// Channels is the pattern of all channels.
func (k Keys) Channels() string { return k.of("*") }

// Who is the key of what a gateway says of itself.
func (k Keys) Who(gateway string) string { return k.of(gateway) + ":who" }

// Flags is the key of the sources that a gateway holds flagged.
func (k Keys) Flags(gateway string) string { return k.of(gateway) + ":flags" }

// Events is the key of a gateway's stream of events.
func (k Keys) Events(gateway string) string { return k.of(gateway) + ":events" }

// Figures is the key of a gateway's figures of calls, by route: of so many seconds from a moment on, in seconds since 1970. The
// gateway's name decides the slot.
func (k Keys) Figures(gateway string, step, start int64) string {
	return k.spread(gateway, gateway) + ":figures:" + strconv.FormatInt(step, 10) + ":" + strconv.FormatInt(start, 10)
}

// Baseline is the key of a gateway's window of a route and a method, of a period (baseline.Published). The route decides the slot.
func (k Keys) Baseline(gateway string, period int64, of baseline.Key) string {
	return k.spread(gateway, of.Route) + ":baseline:" + strconv.FormatInt(period, 10) + ":" + of.Method + ":" + of.Route
}

// Writer returns the gateway that a channel is of.
func (k Keys) Writer(channel string) (gateway string, ok bool) {
	gateway, ok = strings.CutPrefix(channel, k.of(""))
	return gateway, ok && ValidName(gateway) == nil
}

// MemberOf returns the gateway of any fleet under whose prefix a key is.
func MemberOf(key string) (gateway string, ok bool) {
	rest, ok := strings.CutPrefix(key, root+"{")
	if !ok {
		return "", false
	}
	if _, rest, ok = strings.Cut(rest, "}:gw:"); !ok {
		return "", false
	}
	gateway, _, ok = strings.Cut(rest, ":")
	return gateway, ok && ValidName(gateway) == nil
}

// IsList reports whether a key is that of a fleet's list of gateways.
func IsList(key string) bool {
	return strings.HasPrefix(key, root+"{") && strings.HasSuffix(key, "}:gateways")
}

func (k Keys) of(gateway string) string { return root + "{" + k.fleet + "}:gw:" + gateway }

func (k Keys) spread(gateway, by string) string {
	if !k.isSpread {
		return k.of(gateway)
	}
	return fmt.Sprintf("%s{%s.%02x}:gw:%s", root, k.fleet, byte(xxhash.Sum64String(by)), gateway)
}

// MaxName is the longest name of a fleet or a gateway, in bytes.
const MaxName = 64

// ValidName says what is wrong with the name of a fleet or a gateway: it has 1 to 64 letters, digits, hyphens and
// underscores, so that it is one part of a key, and no pattern.
func ValidName(name string) error {
	if name == "" || len(name) > MaxName {
		return fmt.Errorf("%q has %d bytes, a name has 1..%d", name, len(name), MaxName)
	}
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return fmt.Errorf("%q has more than letters, digits, - and _", name)
		}
	}
	return nil
}
