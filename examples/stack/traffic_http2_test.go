package stack_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"

	"fivetuple/examples/stack"
)

// http2Calls: many streams at once on a connection, over TLS and without. All have the connection's figures.
func (tr *traffic) http2Calls() {
	times(5, func(i int) {
		tr.openHTTP2("h2c", either(i), rules{}, func(c *http2Talk) {
			c.streams(30, 10, "connection")
		})
		tr.openHTTP2("h2", either(i), rules{tls: true}, func(c *http2Talk) {
			c.streams(30, 10, "connection;tls")
		})
	})
}

// http2Talk is a connection that speaks HTTP/2.
type http2Talk struct {
	*talk
	client *http.Transport
	mu     sync.Mutex // of the talk's calls
}

func (tr *traffic) openHTTP2(kind, address string, r rules, use func(*http2Talk)) {
	if c := tr.dialHTTP2(kind, address, r); c != nil {
		defer c.Close()
		use(c)
	}
}

// dialHTTP2 is dial, with the handshake of TLS where the rules have it.
func (tr *traffic) dialHTTP2(kind, address string, r rules) *http2Talk {
	r.http2 = true
	if r.tls {
		t := tr.dialTLS(kind, address, clientTLS("h2"))
		if t == nil {
			return nil
		}
		t.rules = r
		return &http2Talk{talk: t, client: transportOver(t.Conn())}
	}
	t := tr.dial(kind, address, r)
	if t == nil {
		return nil
	}
	return &http2Talk{talk: t, client: transportOver(t.Conn())}
}

// transportOver returns a transport that has one connection, and speaks HTTP/2 on it.
func transportOver(conn net.Conn) *http.Transport {
	var protocols http.Protocols
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	var once sync.Once
	dial := func(context.Context, string, string) (net.Conn, error) {
		var one net.Conn
		once.Do(func() { one = conn })
		if one == nil {
			return nil, net.ErrClosed
		}
		return one, nil
	}
	return &http.Transport{Protocols: &protocols, DialContext: dial, DialTLSContext: dial}
}

// streams makes calls, so many at once.
func (c *http2Talk) streams(calls, atOnce int, want string) {
	c.stream(want, 0) // the connection is there for all others
	turn := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for n := range calls - 1 {
		turn <- struct{}{}
		wg.Go(func() {
			defer func() { <-turn }()
			c.stream(want, n)
		})
	}
	wg.Wait()
}

func (c *http2Talk) stream(want string, n int) {
	scheme := "http"
	if c.rules.tls {
		scheme = "https"
	}
	method, body := http.MethodGet, io.Reader(nil)
	if n%3 == 1 {
		method, body = http.MethodPost, strings.NewReader(strings.Repeat("x", 700*n))
	}
	request, err := http.NewRequestWithContext(c.traffic.ctx, method, fmt.Sprintf("%s://gateway/insight/h2?pad=%d", scheme, 300*n), body)
	if c.failed(err) {
		return
	}
	c.mu.Lock()
	name, value, _ := strings.Cut(c.traced(want, 0), ": ")
	c.mu.Unlock()
	request.Header.Set(name, value)
	response, err := c.client.RoundTrip(request)
	if c.failed(err) {
		return
	}
	defer response.Body.Close()
	var echo stack.Echo
	if err := json.NewDecoder(response.Body).Decode(&echo); err != nil || response.ProtoMajor != 2 {
		c.fail(fmt.Errorf("HTTP/%d: %s: %w", response.ProtoMajor, response.Status, err))
	}
	_, _ = io.Copy(io.Discard, response.Body)
}
