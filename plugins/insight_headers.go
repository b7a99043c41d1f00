package plugins

import (
	"net/textproto"
	"slices"
	"strings"

	pkghttp "github.com/apache/apisix-go-plugin-runner/pkg/http"

	"fivetuple/correlator"
	"fivetuple/correlator/signal"
)

// insightHeaders writes what is known of a call, and removes what the client sent under the names of that. It is used
// again for other calls: only the strings that it sets are made anew, all in one.
type insightHeaders struct {
	conf      *insightConf
	result    *correlator.Result
	cleared   bool // the gateway has cleared what the client sent under our names
	truncated bool // the gateway sent only the first headers: the client's own may pass by unseen

	remover remover
	out     structured
	spans   []span
}

func (h *insightHeaders) init() {
	h.remover.init(func(name []byte) bool { return isOwned(h.conf, name) })
}

// span is where a header's value lies in the buffer.
type span struct {
	name     string
	from, to int
}

// insightNames are the names of a route's headers, canonical, made once with its configuration.
type insightNames struct {
	groups     [groupCount]string
	dictionary string
}

func newInsightNames(prefix string) insightNames {
	n := insightNames{dictionary: textproto.CanonicalMIMEHeaderKey(strings.TrimSuffix(prefix, "-"))}
	for i, group := range ownedGroups() {
		n.groups[i] = textproto.CanonicalMIMEHeaderKey(prefix + group)
	}
	return n
}

// write sets the headers, and deletes those of our names that have no value.
func (h *insightHeaders) write(r pkghttp.Request) {
	header := r.Header()
	h.remover.remove(header)
	h.build()
	text := string(h.out.buf)
	for _, s := range h.spans {
		if h.conf.toUpstream() {
			header.Set(s.name, text[s.from:s.to])
		}
		if h.conf.toClient() {
			r.RespHeader().Set(s.name, text[s.from:s.to])
		}
	}
	if !h.cleared {
		h.deleteOthers(header)
	}
}

// deleteOthers deletes our names without a value also where they were not seen: the gateway sends only the first 100.
func (h *insightHeaders) deleteOthers(header pkghttp.Header) {
	for _, name := range h.conf.names.groups {
		if !h.has(name) {
			header.Del(name)
		}
	}
	if name := h.conf.names.dictionary; ownsDictionary(h.conf) && !h.has(name) {
		header.Del(name)
	}
}

// has says whether a header is set for the upstream.
func (h *insightHeaders) has(name string) bool {
	return h.conf.toUpstream() && slices.ContainsFunc(h.spans, func(s span) bool { return s.name == name })
}

// isOwned says whether a request header has one of our names, or reads as one to an upstream that takes "_" for "-". All
// that begins with the default prefix is ours; of another prefix only what we write, as it may begin others' names.
func isOwned[T string | []byte](c *insightConf, name T) bool {
	if hasPrefix(name, defaultPrefix) || equal(name, defaultPrefix[:len(defaultPrefix)-1]) {
		return true
	}
	if c.prefix == defaultPrefix || !hasPrefix(name, c.prefix) && len(name) != len(c.names.dictionary) {
		return false
	}
	if ownsDictionary(c) && equal(name, c.names.dictionary) {
		return true
	}
	for _, owned := range c.names.groups {
		if equal(name, owned) {
			return true
		}
	}
	return false
}

// ownsDictionary says whether the prefix's stem is a name of ours: that of `accept-` is somebody else's.
func ownsDictionary(c *insightConf) bool {
	return c.format == formatDictionary || c.prefix == defaultPrefix
}

// equal compares field names without case, and with "_" as "-".
func equal[T string | []byte](name T, want string) bool {
	return len(name) == len(want) && hasPrefix(name, want)
}

func hasPrefix[T string | []byte](name T, prefix string) bool {
	if len(name) < len(prefix) {
		return false
	}
	for i := range len(prefix) {
		if fold(name[i]) != fold(prefix[i]) {
			return false
		}
	}
	return true
}

func fold(c byte) byte {
	switch {
	case c == '_':
		return '-'
	case 'A' <= c && c <= 'Z':
		return c + 'a' - 'A'
	}
	return c
}

// build writes the values of the route's groups.
func (h *insightHeaders) build() {
	h.out.reset()
	h.spans = h.spans[:0]
	if h.conf.expose == exposeNone {
		return
	}
	for i, group := range ownedGroups() {
		if !h.conf.groups[i] || !h.known(group) {
			continue
		}
		from := len(h.out.buf)
		if h.conf.format == formatDictionary {
			h.out.member(group)
		}
		h.value(group)
		if h.conf.format == formatHeaders {
			h.spans = append(h.spans, span{h.conf.names.groups[i], from, len(h.out.buf)})
		}
	}
	if h.conf.format == formatDictionary {
		h.spans = append(h.spans, span{h.conf.names.dictionary, 0, len(h.out.buf)})
	}
}

// known says whether there is a value of a group for this call.
func (h *insightHeaders) known(group string) bool {
	switch group {
	case groupMatch:
		return true
	case groupLatency:
		return h.result.Match != correlator.MatchNone
	case groupSize:
		return h.result.Size.Known
	case groupAnomaly:
		return h.result.Judged
	case groupFlow:
		return h.result.FlowID != ""
	}
	return false
}

func (h *insightHeaders) value(group string) {
	switch group {
	case groupMatch:
		h.match()
	case groupLatency:
		h.latency()
	case groupSize:
		h.size()
	case groupAnomaly:
		h.anomaly()
	case groupFlow:
		h.out.text(h.result.FlowID)
	}
}

func (h *insightHeaders) match() {
	res, out := h.result, &h.out
	out.token(res.Match.String())
	if res.Number > 0 {
		out.number("n", uint64(res.Number))
	}
	out.flag("partial", res.Partial)
	out.flag("tls", res.TLS)
	out.flag("handshake", res.Handshake)
	if res.Missed > 0 {
		out.number("missed", res.Missed)
	}
	if res.LengthUnknown {
		out.word("length", "unknown")
	}
	out.word("reason", string(res.Reason))
	if h.truncated {
		out.word("headers", "truncated")
	}
}

// latency is the round trip to the peer in microseconds, or the token `unknown` before there is a sample.
func (h *insightHeaders) latency() {
	res, out := h.result, &h.out
	if res.RTT.Now > 0 {
		out.integer(uint64(res.RTT.Now))
		out.number("min", uint64(res.RTT.Min))
	} else {
		out.token("unknown")
	}
	if res.RTT.Handshake > 0 {
		out.number("handshake", res.RTT.Handshake)
	}
	if res.Timing.Known {
		out.number("recv", res.Timing.Recv)
		out.number("wait", res.Timing.Wait)
	}
}

// anomaly is the score of what is not normal about the call.
func (h *insightHeaders) anomaly() {
	v := h.result.Facts.Verdict(signal.All)
	h.out.score(v.Score)
	h.out.signals(v.Signals)
	if h.result.Learning {
		h.out.word("baseline", "learning")
	}
}

func (h *insightHeaders) size() {
	size, out := &h.result.Size, &h.out
	out.integer(size.Bytes)
	out.number("packets", uint64(size.Packets))
	out.number("payload", size.Payload)
	if size.Min > 0 {
		out.number("min", uint64(size.Min))
		out.number("max", uint64(size.Max))
	}
	out.flag("partial", h.result.Partial)
}
