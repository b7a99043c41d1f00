package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"
)

// serverTLS is a TLS configuration with a certificate that is good for tests.
func serverTLS(t *testing.T) *tls.Config {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	server.StartTLS()
	t.Cleanup(server.Close)
	return &tls.Config{Certificates: server.TLS.Certificates, MinVersion: tls.VersionTLS12}
}

const protoSnippet = "  http_server_location_configuration_snippet: 'more_set_input_headers \"X-Known: $connection $connection_requests $realip_remote_port $server_port [$ssl_protocol] [$http2] $server_protocol $scheme\";'\n"

func TestHTTP2StreamsShareConnectionAndPort(t *testing.T) {
	for _, tc := range []struct {
		name string
		tls  bool
		want string
	}{
		{"h2c", false, "1 %d 40001 9080 [] [h2c] HTTP/2.0 http"},
		{"h2", true, "1 %d 40001 9080 [TLSv1.3] [h2] HTTP/2.0 https"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := standOptions{snippets: protoSnippet}
			if tc.tls {
				o.tls = serverTLS(t)
			}
			s := newStand(t, o)
			client := http2Client(s, tc.tls)
			http2Get(t, client, tc.tls, "/a") // opens the connection that the others share
			var wait sync.WaitGroup
			for range 4 {
				wait.Go(func() { http2Get(t, client, tc.tls, "/a") })
			}
			wait.Wait()
			var want []string
			for i := range 5 {
				want = append(want, fmt.Sprintf(tc.want, i+1))
			}
			got := known(t, s)
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
			if sent, _ := s.upstream.last(t); sent.Proto != "HTTP/1.1" || sent.Host != "test.example" {
				t.Errorf("upstream got %s for %s", sent.Proto, sent.Host)
			}
		})
	}
}

func http2Client(s *stand, secure bool) *http.Client {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(!secure)
	protocols.SetHTTP2(secure)
	return httpClient(s, &http.Transport{
		Protocols:       &protocols,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}, //nolint:gosec // the test's own server
	})
}

func http2Get(t *testing.T, client *http.Client, secure bool, path string) {
	t.Helper()
	scheme := "http"
	if secure {
		scheme = "https"
	}
	resp, err := client.Get(scheme + "://test.example" + path)
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.ProtoMajor != 2 || resp.StatusCode != http.StatusOK {
		t.Errorf("got %s %s %q %v", resp.Proto, resp.Status, body, err)
	}
}

func TestHTTP1InsideTLS(t *testing.T) {
	s := newStand(t, standOptions{snippets: protoSnippet, tls: serverTLS(t)})
	raw, err := s.listener.dial(clientAddr, "127.0.0.1:9443")
	if err != nil {
		t.Fatal(err)
	}
	conn := tls.Client(raw, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}) //nolint:gosec // the test's own server
	t.Cleanup(func() { _ = conn.Close() })
	c := newClient(t, conn)
	for i := range 2 {
		wantStatus(t, c.do(get("/a")), http.StatusOK)
		want := fmt.Sprintf("1 %d 40001 9443 [TLSv1.2] [] HTTP/1.1 https", i+1)
		if got := known(t, s)[i]; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := valuesOf(s.runner.calls(t)[0].Headers, "x-forwarded-port"); !slices.Equal(got, []string{"9443"}) {
		t.Errorf("x-forwarded-port %q", got)
	}
}

func TestHTTP2BodiesGoBothWays(t *testing.T) {
	s := newStand(t, standOptions{upstream: func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }})
	client := http2Client(s, false)
	body := strings.Repeat("x", 1<<20)
	resp, err := client.Post("http://test.example/a", "text/plain", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	got, err := io.ReadAll(resp.Body)
	if err != nil || string(got) != body {
		t.Errorf("%d bytes came back, %v", len(got), err)
	}
	if lengths := valuesOf(s.runner.calls(t)[0].Headers, "content-length"); !slices.Equal(lengths, []string{fmt.Sprint(len(body))}) {
		t.Errorf("content-length %q", lengths)
	}
	if access := <-s.accesses; access.RequestLength != access.HeadLength+int64(len(body)) {
		t.Errorf("access log: %d bytes of head, %d in all", access.HeadLength, access.RequestLength)
	}
}

func TestABrokenAnswerResetsTheStream(t *testing.T) {
	s := newStand(t, standOptions{upstream: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "short")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}})
	resp, err := http2Client(s, false).Get("http://test.example/a")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if body, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("a short body %q was read without an error", body)
	}
}

// TestAWrongPrefaceIsLogged: what net/http has to say of a client that does not speak the protocol that it chose is in the stand-in's log.
func TestAWrongPrefaceIsLogged(t *testing.T) {
	var text bytes.Buffer
	g, err := New(Options{APISIX: []byte("routes: []\n#END\n"), TLS: serverTLS(t), Log: zerolog.New(&text)})
	if err != nil {
		t.Fatal(err)
	}
	s := &stand{Gateway: g, t: t, listener: newPipeListener(), clock: newClock()}
	s.serve()
	raw, err := s.listener.dial(clientAddr, "127.0.0.1:9443")
	if err != nil {
		t.Fatal(err)
	}
	conn := tls.Client(raw, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}) //nolint:gosec // the test's own server
	if _, err := io.WriteString(conn, "GET /a HTTP/1.1\r\nHost: test.example\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	_, _ = io.ReadAll(conn) // the gateway closes the connection
	_ = conn.Close()
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "error reading preface from client") {
		t.Errorf("log: %q", text.String())
	}
}

func TestServeTLSWantsAConfiguration(t *testing.T) {
	g, err := New(Options{APISIX: []byte("routes: []\n#END\n")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = g.Close() }()
	if err := g.ServeTLS(newPipeListener()); err == nil {
		t.Error("no error")
	}
}

// TestUpstreamsAreDialledByTheCallersFunction is how a caller reaches upstreams in another network namespace.
func TestUpstreamsAreDialledByTheCallersFunction(t *testing.T) {
	inner := startUpstream(t, nil)
	var asked string
	g, err := New(Options{
		APISIX: []byte(`{routes: [{id: 1, uri: /*, upstream: {type: roundrobin, nodes: {"10.1.2.3:80": 1}}}]}` + "\n#END\n"),
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			asked = address
			return (&net.Dialer{}).DialContext(ctx, network, inner.address)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &stand{Gateway: g, t: t, listener: newPipeListener(), clock: newClock()}
	s.serve()
	wantStatus(t, s.client().do(get("/a")), http.StatusOK)
	if asked != "10.1.2.3:80" {
		t.Errorf("dialled %q", asked)
	}
}
