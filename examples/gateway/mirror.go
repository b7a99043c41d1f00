package gateway

import (
	"bytes"
	"context"
	"io"
	"net/url"
)

type mirrorEntry struct {
	Host text `yaml:"host"`
}

type bufferingEntry struct {
	Disable bool `yaml:"disable_proxy_buffering"`
}

// mirror is APISIX's plugin proxy-mirror: nginx sends a copy of the request, from a location of its own in which the snippet's
// proxy_set_header is not. It returns a function that waits until the copy was answered. The body is read to its end
// first, as nginx does.
func (c *call) mirror(ctx context.Context) (wait func(), err error) {
	if c.route.mirror == "" {
		return func() {}, nil
	}
	body, err := c.readBody()
	if err != nil {
		return nil, err
	}
	to, err := url.Parse(c.route.mirror + c.upstreamTarget())
	if err != nil {
		return nil, err
	}
	req := newOutgoing(c.request.method, to, c.headers.remove(notForwarded).set("Host", c.upstreamHost))
	if len(body) > 0 {
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		resp, err := c.gateway.transport.RoundTrip(req.WithContext(ctx))
		if err != nil { // nobody is told: the answer is thrown away
			return
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}()
	return func() { <-done }, nil
}
