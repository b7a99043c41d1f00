package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

// switcher is an answerer whose connection can change to another protocol.
type switcher interface {
	// switchTo sends the head of a 101 and returns the connection: what the client sends from there on, and the way to it.
	switchTo(headers headerList) (io.ReadWriter, error)
}

// upgradeTo is the protocol that the upstream is asked to change to; empty: none. APISIX asks where the route has
// enable_websocket, whatever the protocol is. HTTP/2 has no such change (RFC 9113, 8.6).
func (c *call) upgradeTo() string {
	if !c.route.websocket || c.request.conn.http2 != "" {
		return ""
	}
	protocol, _ := c.headers.get("Upgrade")
	return protocol
}

var errNoSwitch = errors.New("a change of protocol that nobody asked for")

// tunnel carries bytes both ways until one side ends, which ends the other, too.
func (c *call) tunnel(ctx context.Context, w answerer, resp *http.Response) error {
	upstream, ok := resp.Body.(io.ReadWriteCloser)
	s, can := w.(switcher)
	if !ok || !can || c.upgradeTo() == "" {
		return errNoSwitch
	}
	headers := append(c.answerHeaders(resp.Header), header{"Upgrade", resp.Header.Get("Upgrade")})
	client, err := s.switchTo(headers)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.request.conn.Close() })
	defer stop()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(upstream, client)
		_ = upstream.Close()
	}()
	_, _ = io.Copy(client, upstream)
	_ = c.request.conn.SetReadDeadline(time.Now())
	<-ended
	return nil
}
