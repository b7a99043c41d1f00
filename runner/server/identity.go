package server

import (
	"errors"
	"fmt"
	"strings"

	"fivetuple/correlator"
)

// errKey means that a PrepareConf's key has not a form that APISIX gives it.
var errKey = errors.New("unknown form of configuration key")

// parseKey reads whose configuration a key is of. APISIX joins a configuration's type, id and version by "#", and the
// parts of a merged one by "&" inside each:
//
//	route#ID#PHASE#VERSION
//	route&service#RID&SID#PHASE#VERSION&VERSION
//	route&service&consumer#RID&SID&NAME#PHASE#VERSION&VERSION&VERSION
//	plugin_config#...                       one part more for a plugin_config
//	global_rule#ID#PHASE#VERSION
//
// Parts are read by type and position; versions are left out. An id may itself have "&" or "#" in it: as many
// parts as there are types are needed, else the form is unknown. The phase is the name of the gateway's plugin: phasePostResp, or
// one of the request phases.
func parseKey(key string) (route correlator.Route, phase string, err error) {
	kind, rest, ok := strings.Cut(key, "#")
	if !ok {
		return correlator.Route{}, "", fmt.Errorf("%w: %q", errKey, shorten(key))
	}
	at := strings.LastIndex(rest, "#ext-plugin-")
	if at < 0 {
		return correlator.Route{}, "", fmt.Errorf("%w: %q names no phase", errKey, shorten(key))
	}
	kinds, ids := strings.Split(kind, "&"), strings.Split(rest[:at], "&")
	if len(kinds) != len(ids) {
		return correlator.Route{}, "", fmt.Errorf("%w: %q has %d types and %d ids", errKey, shorten(key), len(kinds), len(ids))
	}
	phase, _, _ = strings.Cut(rest[at+1:], "#")
	for i, k := range kinds {
		switch k {
		case "route":
			route.Route = ids[i]
		case "service":
			route.Service = ids[i]
		case "consumer":
			route.Consumer = ids[i]
		case "global_rule":
			route.Global = true
		}
	}
	return route, phase, nil
}

// maxID bounds the id of a route, a service or a consumer, in bytes. APISIX's own have up to 64 characters.
const maxID = 256

// routeOfKey is parseKey for a key whose ids are kept, in series of metrics, baselines and reports: none is longer than maxID.
func routeOfKey(key string) (correlator.Route, string, error) {
	route, phase, err := parseKey(key)
	if longest := max(len(route.Route), len(route.Service), len(route.Consumer)); longest > maxID {
		return correlator.Route{}, phase, fmt.Errorf("%w: %q has an id of %d bytes, at most %d", errKey, shorten(key), longest, maxID)
	}
	return route, phase, err
}

// phasePostResp is the gateway's plugin that shows a runner the upstream's response.
const phasePostResp = "ext-plugin-post-resp"

// shorten cuts foreign text for a message.
func shorten(text string) string {
	const limit = 120
	if len(text) > limit {
		return text[:limit] + "..."
	}
	return text
}
