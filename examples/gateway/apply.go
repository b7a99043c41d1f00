package gateway

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// apply does what the runner said. It returns the status to answer with, 0 to go on.
func (c *call) apply(verdict action) int {
	switch {
	case verdict.stop != nil:
		c.addResponseHeaders(verdict.stop.headers, func(string) bool { return false })
		c.stopBody = verdict.stop.body
		if verdict.stop.status == 0 {
			return http.StatusOK
		}
		return verdict.stop.status
	case verdict.rewrite != nil:
		c.rewrite(verdict.rewrite)
	}
	return 0
}

func (c *call) rewrite(r *rewriteAction) {
	for _, e := range r.headers {
		value := e.value
		if !e.hasValue {
			value = "" // no value deletes
		}
		c.headers = c.headers.set(e.name, value)
		if strings.EqualFold(e.name, "host") {
			c.upstreamHost = value
		}
	}
	if len(r.body) > 0 {
		c.replaceBody(r.body)
	}
	c.addResponseHeaders(r.respHeaders, notFromRewrite)
	if len(r.args) > 0 {
		args := c.args()
		args.change(r.args)
		c.query = args.encode()
		c.rewritten = true
	}
	if r.hasPath {
		c.upstreamPath = escapePath(r.path)
	}
}

// replaceBody gives the upstream another body. The client's is read to its end first, as nginx does.
func (c *call) replaceBody(body []byte) {
	if c.request.body != nil {
		_, _ = io.Copy(io.Discard, c.request.body)
	}
	c.body, c.contentLength = bytes.NewReader(body), int64(len(body))
	c.headers = c.headers.set("Content-Length", strconv.Itoa(len(body)))
}

// addResponseHeaders adds to what the client will get, names in lower case: the first of a name in one
// answer of the runner replaces what an earlier phase set, further ones are added.
func (c *call) addResponseHeaders(entries []entry, excluded func(string) bool) {
	set := make(map[string]bool)
	for _, e := range entries {
		name := strings.ToLower(e.name)
		switch {
		case excluded(name) || !validName(name) || !e.hasValue && set[name]:
		case !e.hasValue:
			c.response = c.response.set(name, "")
		case set[name]:
			c.response = append(c.response, header{name, e.value})
		default:
			c.response = append(c.response.set(name, ""), header{name, e.value})
			set[name] = true
		}
	}
}

// notFromRewrite are the response headers that APISIX does not take from a rewrite.
func notFromRewrite(name string) bool {
	switch name {
	case "connection", "content-length", "transfer-encoding", "location", "server", "www-authenticate",
		"content-encoding", "content-type", "content-location", "content-language":
		return true
	default:
		return false
	}
}
