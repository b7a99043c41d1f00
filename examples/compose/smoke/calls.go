package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"fivetuple/examples/stack"
)

const (
	callWait = 2 * time.Second
	// probeWait bounds a call of the prober: one to a gateway that is away must not keep it from the next.
	probeWait = 500 * time.Millisecond
	// probeEvery is the time between two calls of the prober.
	probeEvery = 20 * time.Millisecond
	// steady is for how long all calls have to be enriched until the stack counts as healed.
	steady = time.Second
)

var (
	errBare   = errors.New("not enriched")
	errStatus = errors.New("not answered with 200")
)

// client is one connection to the gateway.
type client struct {
	conn net.Conn
	in   *bufio.Reader
	wait time.Duration // for an answer
}

func newClient(conn net.Conn) *client {
	return &client{conn: conn, in: bufio.NewReader(conn), wait: callWait}
}

// answered is a call: its request as the upstream got it, and what the plugin put on it.
type answered struct {
	upstream http.Header
	insight  stack.Insight
}

// call makes a call, and reads what the upstream got.
func (c *client) call(request []byte) (answered, error) {
	if err := c.conn.SetDeadline(time.Now().Add(c.wait)); err != nil {
		return answered{}, err
	}
	if _, err := c.conn.Write(request); err != nil {
		return answered{}, err
	}
	res, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return answered{}, err
	}
	body, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		return answered{}, err
	}
	if res.StatusCode != http.StatusOK {
		return answered{}, fmt.Errorf("%w: %s", errStatus, res.Status)
	}
	return readAnswer(body)
}

// readAnswer reads the upstream's answer, which is the request that it got.
func readAnswer(body []byte) (a answered, err error) {
	got, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(body)))
	if err != nil {
		return a, fmt.Errorf("read the upstream's answer %.100q: %w", body, err)
	}
	a.upstream = got.Header
	for name := range got.Header {
		if strings.EqualFold(name, "X-Packet-Tuple") {
			return a, fmt.Errorf("%w: the upstream got %s", errBare, name)
		}
	}
	a.insight, err = stack.ReadInsight(got.Header)
	if err == nil && a.insight.Match != "exchange" {
		err = fmt.Errorf("%w: x-packet-match: %s", errBare, a.insight.MatchRaw)
	}
	return a, err
}

// callOnce makes a call on a connection of its own.
func callOnce(ctx context.Context, address, path string) (answered, error) {
	return callWithin(ctx, callWait, address, path)
}

func callWithin(ctx context.Context, wait time.Duration, address, path string) (answered, error) {
	conn, err := (&net.Dialer{Timeout: wait}).DialContext(ctx, "tcp", address)
	if err != nil {
		return answered{}, err
	}
	defer conn.Close()
	c := newClient(conn)
	c.wait = wait
	return c.call(stack.Get(path, 0))
}

// localAddress returns the client's end of a connection.
func (c *client) localAddress() netip.AddrPort { return c.conn.LocalAddr().(*net.TCPAddr).AddrPort() }

// prober makes calls all the time, each on a connection of its own, and remembers which were enriched.
type prober struct {
	address string
	done    chan struct{}
	end     context.CancelFunc

	mu      sync.Mutex
	samples []sample
}

// sample is one call of the prober: when it ended, and nil if it was enriched.
type sample struct {
	at  time.Time
	err error
}

func startProber(ctx context.Context, address string) *prober {
	ctx, end := context.WithCancel(ctx)
	p := &prober{address: address, done: make(chan struct{}), end: end}
	go func() {
		defer close(p.done)
		tick := time.NewTicker(probeEvery)
		defer tick.Stop()
		for {
			_, err := callWithin(ctx, probeWait, p.address, "/insight/probe")
			if ctx.Err() != nil {
				return
			}
			p.mu.Lock()
			p.samples = append(p.samples, sample{time.Now(), err})
			p.mu.Unlock()
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	return p
}

func (p *prober) stop() {
	p.end()
	<-p.done
}

// seen is what became of calls since a time.
type seen struct {
	calls, failed, bare int
	healed              time.Duration // until the end of the last call that was not enriched; 0: all were
	steady              bool          // all calls of the last second were
	last                error         // of the last call that was not enriched
}

func (p *prober) since(start time.Time) seen {
	p.mu.Lock()
	defer p.mu.Unlock()
	var s seen
	var first, last time.Time // of the enriched calls since the last one that was not
	for _, c := range p.samples {
		if c.at.Before(start) {
			continue
		}
		s.calls++
		switch {
		case c.err == nil:
			if first.IsZero() {
				first = c.at
			}
			last = c.at
			continue
		case errors.Is(c.err, errBare), errors.Is(c.err, stack.ErrInsight):
			s.bare++
		default:
			s.failed++
		}
		first, s.healed, s.last = time.Time{}, c.at.Sub(start), c.err
	}
	s.steady = !first.IsZero() && last.Sub(first) >= steady
	return s
}
