package baseline

import "strings"

const (
	// maxRoute is the longest route id with a baseline of its own, in bytes; APISIX's have at most 64.
	maxRoute = 128
	// otherMethod is the name that all methods share that are not listed in canonicalMethod. It cannot be one itself: a
	// method is a token (RFC 9110, 9.1), without parentheses.
	otherMethod = "(other)"
)

// canonical returns the key that a key counts under, or false if only the shared one is left. Route ids come from the
// gateway's configuration, but a method may be what a client has sent: unlisted ones are one.
func canonical(k Key) (Key, bool) {
	return Key{Route: k.Route, Method: canonicalMethod(k.Method)}, len(k.Route) <= maxRoute
}

// canonicalMethod knows the methods of RFC 9110 and 5789, and those of RFC 4918 that the gateway's protocol names.
func canonicalMethod(method string) string {
	switch method {
	case "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
		"MKCOL", "COPY", "MOVE", "PROPFIND", "PROPPATCH", "LOCK", "UNLOCK":
		return method
	}
	return otherMethod
}

// clone returns a key with memory of its own.
func (k Key) clone() Key { return Key{Route: strings.Clone(k.Route), Method: strings.Clone(k.Method)} }
