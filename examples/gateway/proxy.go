package gateway

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// newTransport makes the transport to the upstreams: HTTP/1.1 with connections kept alive.
func newTransport(dial dialFunc) *http.Transport {
	return &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, upstreamTimeout)
			defer cancel()
			return dial(ctx, network, address)
		},
		MaxIdleConnsPerHost:   upstreamIdleConns,
		IdleConnTimeout:       upstreamIdle,
		ResponseHeaderTimeout: upstreamTimeout,
		DisableCompression:    true, // the client's Accept-Encoding goes through as it is
	}
}

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// proxy passes the call on and its answer back. It returns the status the client got.
func (c *call) proxy(ctx context.Context, w answerer) (int, error) {
	address, ok := c.route.nodes.next()
	if !ok {
		return http.StatusBadGateway, w.answer(c.localAnswer(http.StatusBadGateway))
	}
	c.upstream = address
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	wait, err := c.mirror(ctx)
	if err != nil {
		return http.StatusBadRequest, w.answer(c.localAnswer(http.StatusBadRequest))
	}
	defer wait()
	resp, err := c.gateway.transport.RoundTrip(c.outgoing(ctx, address))
	if err != nil {
		status := upstreamStatus(err)
		c.gateway.log.Error().Err(err).Str("route", c.routeID()).Str("upstream", address).Int("status", status).Msg("upstream failed")
		return status, w.answer(c.localAnswer(status))
	}
	defer func() { _ = resp.Body.Close() }()
	body := &watchedReader{from: resp.Body, timer: time.AfterFunc(upstreamTimeout, cancel)}
	defer body.timer.Stop()
	if resp.StatusCode == http.StatusSwitchingProtocols {
		body.timer.Stop()
		return resp.StatusCode, c.tunnel(ctx, w, resp)
	}
	return resp.StatusCode, w.answer(resp.StatusCode, c.answerHeaders(resp.Header), body, resp.ContentLength)
}

// upstreamStatus is nginx's: 499 if the client of an HTTP/2 stream went away, 504 for a time-out, 400 for a body that the client did not finish, else 502.
func upstreamStatus(err error) int {
	var network net.Error
	switch {
	case errors.Is(err, context.Canceled):
		return statusClientClosed
	case errors.Is(err, errClientBody):
		return http.StatusBadRequest
	case errors.As(err, &network) && network.Timeout():
		return http.StatusGatewayTimeout
	default:
		return http.StatusBadGateway
	}
}

// outgoing builds the request to the upstream. The target goes out as the client wrote it unless a plugin
// changed path or arguments.
func (c *call) outgoing(ctx context.Context, address string) *http.Request {
	to := &url.URL{Scheme: "http", Host: address}
	target := c.upstreamTarget()
	if strings.HasPrefix(target, "//") { // Opaque would read this as a host
		path, query, _ := strings.Cut(target, "?")
		decoded, _ := percentDecode(path, false)
		to.Path, to.RawPath, to.RawQuery = decoded, path, query
	} else {
		to.Opaque = target
	}
	req := newOutgoing(c.request.method, to, c.forwarded())
	req.Host, req.ContentLength = c.upstreamHost, c.contentLength
	if c.body != nil && c.contentLength != 0 {
		req.Body = io.NopCloser(c.body)
	}
	if protocol := c.upgradeTo(); protocol != "" {
		req.Header["Upgrade"], req.Header["Connection"] = []string{protocol}, []string{"upgrade"}
	}
	return req.WithContext(ctx)
}

// newOutgoing returns a request with these header lines, as they are written, and no others.
func newOutgoing(method string, to *url.URL, lines headerList) *http.Request {
	req := &http.Request{
		Method: method, URL: to, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: make(http.Header),
	}
	for _, h := range lines {
		switch key := transportKey(h.name); key {
		case "Host":
			req.Host = h.value
		case "Content-Length": // is written from its field
		default:
			req.Header[key] = append(req.Header[key], h.value)
		}
	}
	if _, ok := req.Header["User-Agent"]; !ok {
		req.Header["User-Agent"] = []string{""} // none, instead of Go's own
	}
	return req
}

func (c *call) upstreamTarget() string {
	target, _ := pathOf(c.request.target)
	if c.upstreamPath == "" && !c.rewritten {
		return target
	}
	path := c.upstreamPath
	if path == "" {
		path = escapePath(c.uri)
	}
	if c.query == "" {
		return path
	}
	return path + "?" + c.query
}

// transportKey keeps a name as the client wrote it, except for those that http.Request treats itself and
// looks up in canonical form.
func transportKey(name string) string {
	switch key := http.CanonicalHeaderKey(name); key {
	case "Host", "User-Agent", "Content-Length":
		return key
	default:
		return name
	}
}

// forwarded is the header lines that the upstream gets, with what APISIX's proxy_set_header adds. The snippet's
// proxy_set_header is in the location / only: a call that goes on to the named location of proxy-buffering has left it.
func (c *call) forwarded() headerList {
	lines := c.headers.remove(notForwarded)
	if c.route == nil || !c.route.unbuffered {
		lines = c.gateway.snippets.applyOutput(lines)
	}
	lines = lines.set("X-Real-IP", addrText(c.client.Addr()))
	var chain []string
	for _, h := range c.headers {
		if strings.EqualFold(h.name, "X-Forwarded-For") {
			chain = append(chain, h.value)
		}
	}
	chain = append(chain, addrText(c.client.Addr()))
	lines = lines.set("X-Forwarded-For", strings.Join(chain, ", "))
	return lines.set("Host", c.upstreamHost)
}

// notForwarded are the headers that nginx does not pass to an upstream.
func notForwarded(name string) bool {
	switch http.CanonicalHeaderKey(name) {
	case "Connection", "Transfer-Encoding", "Te", "Keep-Alive", "Expect", "Upgrade", "Trailer":
		return true
	default:
		return false
	}
}

// answerHeaders is what the client gets: the plugins' headers first, then the upstream's, as from nginx.
func (c *call) answerHeaders(from http.Header) headerList {
	var lines headerList
	for _, name := range []string{"Content-Type", "Content-Length"} { // the latter for answers to HEAD
		for _, value := range from[name] {
			lines = append(lines, header{name, value})
		}
	}
	lines = append(lines, c.response...)
	names := make([]string, 0, len(from))
	for name := range from {
		if name != "Content-Type" && !framingName(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range from[name] {
			lines = append(lines, header{name, value})
		}
	}
	date := from.Get("Date")
	if date == "" {
		date = httpDate(c.gateway.now())
	}
	return append(lines, header{"Date", date}, header{"Server", serverName})
}

// watchedReader gives up when the upstream sends nothing for upstreamTimeout.
type watchedReader struct {
	from  io.Reader
	timer *time.Timer
}

// Read restarts the clock.
func (r *watchedReader) Read(p []byte) (int, error) {
	r.timer.Reset(upstreamTimeout)
	return r.from.Read(p)
}

func httpDate(at time.Time) string { return at.UTC().Format(http.TimeFormat) }
