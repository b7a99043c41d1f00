package stack_test

import (
	"crypto/tls"
	"testing"

	"fivetuple/examples/stack"
)

// secureCalls: over TLS, with handshakes of different lengths. The first exchange of a connection is the handshake's; what
// follows it of the handshake lies in the first call's.
func (tr *traffic) secureCalls(kind, server string, version uint16) {
	config := clientTLS("http/1.1")
	config.ServerName, config.MaxVersion = server, version
	times(10, func(i int) {
		tr.openTLS(kind, either(i), config, func(c *talk) {
			want := "exchange;tls;handshake"
			for n := range 10 {
				var ok bool
				if n%3 == 1 {
					ok = c.post(want, "/insight/post", 500*n)
				} else {
					ok = c.get(want, "/insight/get", 200*n)
				}
				if !ok {
					return
				}
				want = "exchange;tls"
			}
		})
	})
}

// secureOthers: over TLS, what has no length to be checked by: several requests at once, calls that met no plugin, bodies
// that come later than their head.
func (tr *traffic) secureOthers() {
	const first, next = "exchange;tls;handshake", "exchange;tls"
	times(10, func(i int) {
		tr.openTLS("TLS, pipelining", either(i), clientTLS("http/1.1"), func(c *talk) {
			if !c.get(first, "/insight/first", 0) {
				return
			}
			both := append(stack.Get("/insight/1", 0, c.traced("shared;tls", 0)), stack.Get("/insight/2", 0, c.traced("shared;tls", 0))...)
			_ = !c.failed(c.Send(both)) && c.receive("GET") && c.receive("GET") && c.get(next, "/insight/alone", 10*i)
		})
		tr.openTLS("TLS, routes without the plugin", either(i), clientTLS("http/1.1"), func(c *talk) {
			_ = c.get(first, "/insight/1", 0) && c.get("shared;tls;missed=2", "/insight/2", 0) &&
				c.get("", "/plain/3", 40) && c.get("", "/plain/4", 0) &&
				c.get(next+";missed=2", "/insight/5", 0) && c.get(next, "/insight/6", 7)
		})
		tr.openTLS("TLS, 100-continue", either(i), clientTLS("http/1.1"), func(c *talk) {
			_ = c.get(first, "/insight/1", 0) && c.expect(next, 3000) && c.get("shared;tls", "/insight/3", 0) &&
				c.get(next, "/insight/4", 0)
		})
	})
}

// Server names by which a client asks for a handshake.
const (
	helloAgain = "hello-again" // the server wants another key share (RFC 8446, 4.1.4)
	lateTicket = "late-ticket" // it sends its session tickets when the client has finished (4.6.1)
)

// serverTLS returns the gateway's configuration: a client chooses its handshake by the server's name.
func serverTLS(t *testing.T) *tls.Config {
	t.Helper()
	config := certificate(t)
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		c := config.Clone()
		c.NextProtos = []string{"h2", "http/1.1"}
		switch hello.ServerName {
		case helloAgain:
			c.CurvePreferences = []tls.CurveID{tls.CurveP384}
		case lateTicket:
			c.ClientAuth = tls.RequestClientCert
		}
		return c, nil
	}
	return config
}

// clientTLS is a client's configuration, which takes the test's own certificate.
func clientTLS(protocol string) *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, NextProtos: []string{protocol}}
}

func (tr *traffic) openTLS(kind, address string, config *tls.Config, use func(*talk)) {
	if c := tr.dialTLS(kind, address, config); c != nil {
		defer c.Close() // says so to the other side, in a record after the last call's
		use(c)
	}
}

// dialTLS is dial, with the handshake.
func (tr *traffic) dialTLS(kind, address string, config *tls.Config) *talk {
	c := tr.dial(kind, address, rules{tls: true})
	if c == nil {
		return nil
	}
	secure := tls.Client(c.raw, config)
	if c.failed(secure.HandshakeContext(tr.ctx)) {
		_ = c.Close()
		return nil
	}
	c.Client = stack.NewClient(secure)
	return c
}
