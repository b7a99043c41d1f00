package gateway

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// luaHeaders is ngx.req.get_headers(): the first hundred header lines, names in lower case. APISIX's plugins read the
// request's headers so; a later line is not there for them, and nginx passes it on to the upstream all the same.
func (c *call) luaHeaders() headerList {
	lines := c.headers[:min(len(c.headers), maxLuaHeaders)]
	list := make(headerList, len(lines))
	for i, h := range lines {
		list[i] = header{strings.ToLower(h.name), h.value}
	}
	return list
}

// ownRequest is a request that a plugin makes itself, by lua-resty-http: nginx's proxy_set_header has no part in it.
type ownRequest struct {
	method, url string
	headers     headerList
	body        []byte
	fresh       bool // on a connection of its own
}

// fetched is the answer to it.
type fetched struct {
	status  int
	headers http.Header
	body    []byte
}

// fetch makes the request and reads the whole answer.
func (c *call) fetch(ctx context.Context, o ownRequest) (fetched, error) {
	target, err := url.Parse(o.url)
	if err != nil {
		return fetched{}, fmt.Errorf("fetch: %w", err)
	}
	req := newOutgoing(o.method, target, o.headers)
	req.Close = o.fresh
	if len(o.body) > 0 {
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(o.body)), int64(len(o.body))
	}
	ctx, cancel := context.WithTimeout(ctx, upstreamTimeout)
	defer cancel()
	resp, err := c.gateway.transport.RoundTrip(req.WithContext(ctx))
	if err != nil {
		return fetched{}, fmt.Errorf("fetch %s: %w", o.url, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return fetched{}, fmt.Errorf("fetch %s: %w", o.url, err)
	}
	return fetched{resp.StatusCode, resp.Header, body}, nil
}

// answerWith makes an answer that a plugin fetched the client's.
func (c *call) answerWith(f fetched) int {
	c.stopBody = f.body
	for name, values := range f.headers {
		for _, value := range values {
			if !framingName(name) {
				c.response = append(c.response, header{name, value})
			}
		}
	}
	return f.status
}

// httpURL refuses what is not the URL of an HTTP server.
func httpURL(f *yamlFile, path, text string, withPath bool) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" || u.Host == "" || !withPath && u.Path != "" {
		return f.wrong(path, fmt.Sprintf("%q is not http://HOST:PORT; the stand-in plays no other scheme", text))
	}
	return nil
}
