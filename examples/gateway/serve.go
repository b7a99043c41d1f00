package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"
)

// Serve answers HTTP/1.x, and HTTP/2 with prior knowledge, on a listener until Close. It closes the
// listener. After Close it returns nil.
func (g *Gateway) Serve(l net.Listener) error { return g.serve(l, g.serveCleartext) }

// ServeTLS is Serve inside TLS, HTTP/2 by ALPN. It wants Options.TLS.
func (g *Gateway) ServeTLS(l net.Listener) error {
	if g.tls == nil {
		_ = l.Close()
		return errNoTLS
	}
	return g.serve(l, g.serveTLS)
}

func (g *Gateway) serve(l net.Listener, serve func(*connection)) error {
	if !g.addListener(l) {
		return l.Close()
	}
	defer g.removeListener(l)
	for {
		raw, err := l.Accept()
		if err != nil {
			if g.isClosed() {
				return nil
			}
			return fmt.Errorf("accept: %w", err)
		}
		conn := g.newConnection(raw)
		if !g.addConnection(conn) {
			_ = raw.Close()
			return nil
		}
		go func() {
			defer g.removeConnection(conn)
			serve(conn)
		}()
	}
}

func (g *Gateway) serveCleartext(conn *connection) { g.serveHTTP1(conn, conn) }

func (g *Gateway) serveTLS(conn *connection) {
	secure := tls.Server(conn, g.tls)
	ctx, cancel := context.WithTimeout(g.calls, tlsHandshakeTimeout)
	defer cancel()
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return
	}
	state := secure.ConnectionState()
	conn.tlsVersion = nginxTLSVersion(state.Version)
	if state.NegotiatedProtocol == "h2" {
		conn.http2 = "h2"
		g.serveHTTP2(conn, secure)
		return
	}
	g.serveHTTP1(conn, secure)
}

// nginxTLSVersion is $ssl_protocol: TLSv1.3, where Go says TLS 1.3.
func nginxTLSVersion(version uint16) string {
	switch version {
	case tls.VersionTLS10:
		return "TLSv1"
	case tls.VersionTLS11:
		return "TLSv1.1"
	case tls.VersionTLS12:
		return "TLSv1.2"
	default:
		return "TLSv1.3"
	}
}

// Close stops the listeners, lets the calls under way end for at most closeWait, then breaks what is left.
// It may be called more than once.
func (g *Gateway) Close() error {
	g.stopListening()
	ctx, cancel := context.WithTimeout(context.Background(), closeWait)
	defer cancel()
	err := g.h2.Shutdown(ctx)
	_ = g.h2conns.Close() // Shutdown does it only if the server has started
	done := make(chan struct{})
	go func() {
		g.serving.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		g.breakConnections()
		<-done
	}
	g.cancel()
	g.transport.CloseIdleConnections()
	for _, w := range g.workers {
		w.runners.close()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = g.h2.Close()
	}
	return err
}

// stopListening also closes the connections that wait for a request.
func (g *Gateway) stopListening() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	for l := range g.listeners {
		_ = l.Close()
	}
	for conn := range g.open {
		conn.closeIfIdle()
	}
}

// breakConnections ends calls under way: those that wait for the runner or an upstream by their context,
// those that wait for the client by its connection.
func (g *Gateway) breakConnections() {
	g.cancel()
	g.mu.Lock()
	defer g.mu.Unlock()
	for conn := range g.open {
		_ = conn.Close()
	}
}

func (g *Gateway) isClosed() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.closed
}

func (g *Gateway) addListener(l net.Listener) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.listeners[l] = struct{}{}
	}
	return !g.closed
}

func (g *Gateway) removeListener(l net.Listener) {
	_ = l.Close()
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.listeners, l)
}

func (g *Gateway) addConnection(conn *connection) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.open[conn] = struct{}{}
		g.serving.Add(1)
	}
	return !g.closed
}

func (g *Gateway) removeConnection(conn *connection) {
	_ = conn.Close()
	g.mu.Lock()
	delete(g.open, conn)
	g.mu.Unlock()
	g.serving.Done()
}

func after(d time.Duration) time.Time { return time.Now().Add(d) }
