package plugins

import (
	"slices"
	"strings"

	pkghttp "github.com/apache/apisix-go-plugin-runner/pkg/http"
	"github.com/dunglas/httpsfv"

	"fivetuple/correlator"
)

// insightHeaders writes what is known of a call as Structured Fields (RFC 9651).
type insightHeaders struct {
	conf      *insightConf
	result    *correlator.Result
	truncated bool // the gateway sent only the first headers: the client's own may pass by unseen
}

// write sets the headers, and removes what the client sent under their names.
func (h *insightHeaders) write(r pkghttp.Request) {
	values := h.values()
	header := r.Header()
	for name := range header.View() {
		if h.isOwned(name) {
			header.Del(name)
		}
	}
	for _, name := range h.names() {
		value, sent := values[name]
		switch {
		case sent && h.conf.toUpstream():
			header.Set(name, value)
		case h.truncated:
			// The library sends a deletion only for a header that it saw; an empty value overwrites unseen ones.
			header.Set(name, "")
		}
		if sent && h.conf.toClient() {
			r.RespHeader().Set(name, value)
		}
	}
}

// names returns every name that a header of ours can have.
func (h *insightHeaders) names() []string {
	var names []string
	if h.ownsDictionary() {
		names = append(names, h.dictionaryName())
	}
	for _, group := range ownedGroups() {
		names = append(names, h.conf.prefix+group)
	}
	return names
}

func (h *insightHeaders) dictionaryName() string { return strings.TrimSuffix(h.conf.prefix, "-") }

// isOwned says whether a request header has one of our names, or reads as one to an upstream that takes "_" for "-". All
// that begins with the default prefix is ours; of another prefix only what we write, as it may begin others' names.
func (h *insightHeaders) isOwned(name string) bool {
	name = strings.ReplaceAll(strings.ToLower(name), "_", "-")
	group, prefixed := strings.CutPrefix(name, h.conf.prefix)
	return h.ownsDictionary() && name == h.dictionaryName() || prefixed && slices.Contains(ownedGroups(), group) ||
		name == strings.TrimSuffix(defaultPrefix, "-") || strings.HasPrefix(name, defaultPrefix)
}

// ownsDictionary says whether the prefix's stem is a name of ours: that of `accept-` is somebody else's.
func (h *insightHeaders) ownsDictionary() bool {
	return h.conf.format == formatDictionary || h.conf.prefix == defaultPrefix
}

// values returns the header values by name.
func (h *insightHeaders) values() map[string]string {
	values := make(map[string]string)
	dictionary := httpsfv.NewDictionary()
	for _, group := range ownedGroups() {
		if !slices.Contains(h.conf.headers, group) {
			continue
		}
		item, ok := h.item(group)
		if !ok {
			continue
		}
		dictionary.Add(group, item)
		if h.conf.format == formatHeaders {
			values[h.conf.prefix+group] = marshal(item)
		}
	}
	if h.conf.format == formatDictionary {
		values[h.dictionaryName()] = marshal(dictionary)
	}
	return values
}

// marshal writes a value that was built here, of types and names that Structured Fields have: it cannot fail.
func marshal(v httpsfv.StructuredFieldValue) string {
	text, err := httpsfv.Marshal(v)
	if err != nil {
		panic("marshal structured field: " + err.Error())
	}
	return text
}

// item returns the value of a group, and false if there is none for this call.
func (h *insightHeaders) item(group string) (httpsfv.Item, bool) {
	res := h.result
	switch group {
	case groupMatch:
		return h.match(), true
	case groupLatency:
		return latency(res), res.Match != correlator.MatchNone
	case groupSize:
		return size(res), res.Size.Known
	case groupFlow:
		return httpsfv.NewItem(res.FlowID), res.FlowID != ""
	}
	return httpsfv.Item{}, false
}

func (h *insightHeaders) match() httpsfv.Item {
	res := h.result
	item := httpsfv.NewItem(httpsfv.Token(res.Match.String()))
	if res.Number > 0 {
		item.Params.Add("n", int64(res.Number))
	}
	flag(item, "partial", res.Partial)
	flag(item, "tls", res.TLS)
	flag(item, "handshake", res.Handshake)
	if res.Missed > 0 {
		number(item, "missed", res.Missed)
	}
	if res.LengthUnknown {
		item.Params.Add("length", httpsfv.Token("unknown"))
	}
	if res.Reason != "" {
		item.Params.Add("reason", httpsfv.Token(res.Reason))
	}
	if h.truncated {
		item.Params.Add("headers", httpsfv.Token("truncated"))
	}
	return item
}

// latency is the round trip to the peer in microseconds, or the token `unknown` before there is a sample.
func latency(res *correlator.Result) httpsfv.Item {
	item := httpsfv.NewItem(httpsfv.Token("unknown"))
	if res.RTT.Now > 0 {
		item = httpsfv.NewItem(int64(res.RTT.Now))
		item.Params.Add("min", int64(res.RTT.Min))
	}
	if res.RTT.Handshake > 0 {
		number(item, "handshake", res.RTT.Handshake)
	}
	if res.Timing.Known {
		number(item, "recv", res.Timing.Recv)
		number(item, "wait", res.Timing.Wait)
	}
	return item
}

func size(res *correlator.Result) httpsfv.Item {
	item := httpsfv.NewItem(integer(res.Size.Bytes))
	number(item, "packets", uint64(res.Size.Packets))
	number(item, "payload", res.Size.Payload)
	if res.Size.Min > 0 {
		number(item, "min", uint64(res.Size.Min))
		number(item, "max", uint64(res.Size.Max))
	}
	flag(item, "partial", res.Partial)
	return item
}

func flag(item httpsfv.Item, name string, set bool) {
	if set {
		item.Params.Add(name, true)
	}
}

func number(item httpsfv.Item, name string, n uint64) { item.Params.Add(name, integer(n)) }

// maxInteger is the largest Integer of Structured Fields (RFC 9651, 3.3.1).
const maxInteger = 999_999_999_999_999

func integer(n uint64) int64 { return int64(min(n, maxInteger)) }
