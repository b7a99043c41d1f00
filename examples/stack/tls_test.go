package stack_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"testing"
	"time"

	"fivetuple/examples/lab"
	"fivetuple/examples/stack"
)

// certificate returns a server's configuration with a certificate of its own making.
func certificate(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// dialTLS opens a TLS connection that offers the given protocols.
func dialTLS(ctx context.Context, t *testing.T, s *stack.Stack, protocols ...string) *tls.Conn {
	t.Helper()
	raw, err := s.Lab.Client.DialContext(ctx, "tcp", net.JoinHostPort(lab.GatewayFrontIPv4, fmt.Sprint(stack.TLSPort)))
	if err != nil {
		t.Fatal(err)
	}
	conn := tls.Client(raw, &tls.Config{InsecureSkipVerify: true, NextProtos: protocols}) // the test's own certificate
	if err := conn.HandshakeContext(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func TestCallsOverTLS(t *testing.T) {
	ctx, s := start(t, stack.Options{TLS: certificate(t)})
	capture, err := s.Capture(lab.CaptureOptions{})
	if err != nil {
		t.Fatal(err)
	}
	c := stack.NewClient(dialTLS(ctx, t, s, "http/1.1"))
	var calls []stack.Insight
	for i := range 5 {
		in, _ := do(t, c, stack.Get("/insight/tls", 100*i))
		calls = append(calls, in)
	}
	if err := capture.Stop(); err != nil {
		t.Fatal(err)
	}
	wantMatch(t, calls[0], "exchange;n=2;tls;handshake")
	for i, in := range calls {
		if i > 0 && (in.Match != "exchange" || !in.TLS || in.Missed > 0) {
			t.Errorf("call %d: x-packet-match: %s", i+1, in.MatchRaw)
		}
		f := lab.Flows(capture.Packets(), nil)[lab.FlowKey{Local: c.GatewayAddr(), Remote: c.Addr()}]
		if wire, err := f.FirstRX(int(in.Number), lab.Newest, int(in.Packets)); err != nil || wire != uint64(in.Size) {
			t.Errorf("call %d: x-packet-size %d, capture %d (%v)", i+1, in.Size, wire, err)
		}
	}
}

func TestStreamsOfHTTP2HaveTheirConnection(t *testing.T) {
	ctx, s := start(t, stack.Options{TLS: certificate(t)})
	conn := dialTLS(ctx, t, s, "h2")
	transport := &http.Transport{
		ForceAttemptHTTP2: true,
		DialTLSContext:    func(context.Context, string, string) (net.Conn, error) { return conn, nil },
	}
	defer transport.CloseIdleConnections()
	for range 3 {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://gateway/insight/h2", nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := transport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		var a stack.Answer
		err = json.NewDecoder(response.Body).Decode(&a.Echo)
		_ = response.Body.Close()
		if err != nil || response.ProtoMajor != 2 {
			t.Fatalf("HTTP/%d: %v", response.ProtoMajor, err)
		}
		in := insight(t, a)
		wantMatch(t, in, "connection;tls")
		if in.Size == 0 || in.Latency == 0 {
			t.Errorf("no figures of the connection: %+v", in)
		}
	}
}
