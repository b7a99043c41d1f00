package metrics

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// scrape returns what /metrics says in the plain format.
func scrape(t *testing.T, registry *prometheus.Registry) string {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	w := httptest.NewRecorder()
	Handler(registry, Pages{}).ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

const openMetrics = "application/openmetrics-text; version=1.0.0"

// serve serves on a free port of loopback until the test ends, and returns where.
func serve(t *testing.T, registry *prometheus.Registry, further ...string) (url string, stop func()) {
	t.Helper()
	address := freeAddress(t)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		Serve(ctx, Place{address, further}, Handler(registry, Pages{}), registry, zerolog.New(zerolog.NewTestWriter(t)))
	})
	stop = func() {
		cancel()
		wg.Wait()
	}
	t.Cleanup(stop)
	return "http://" + address, stop
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// get asks until there is somebody to answer.
func get(t *testing.T, url, accept string) (status int, body string) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept", accept)
		answer, err := http.DefaultClient.Do(r)
		if err == nil {
			text, err := io.ReadAll(answer.Body)
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close()
			return answer.StatusCode, string(text)
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// TestScrapeWithExemplars: over HTTP, in OpenMetrics, a call's bucket names its trace.
func TestScrapeWithExemplars(t *testing.T) {
	w := newWhole(t, 10)
	r := exchange("orders")
	r.TraceID = [16]byte{0x4b, 0xf9, 15: 0x36}
	w.calls.Take(r)
	w.calls.Take(exchange("untraced"))
	url, _ := serve(t, w.Registry)
	status, text := get(t, url+"/metrics", openMetrics)
	const bucket = `fivetuple_call_duration_seconds_bucket{consumer="jack",route="orders",service="shop",le="0.05"} 1 # {trace_id="4bf90000000000000000000000000036"} 0.034 `
	if status != http.StatusOK || !strings.Contains(text, "\n"+bucket) || !strings.HasSuffix(text, "\n# EOF\n") {
		t.Errorf("status %d, no bucket %s", status, bucket)
	}
	if n := strings.Count(text, "# {"); n != 1+splitParts+1+2 { // duration, parts, round trip, bytes
		t.Errorf("%d exemplars", n)
	}
	if _, plain := get(t, url+"/metrics", ""); strings.Contains(plain, "4bf9") {
		t.Error("exemplars are in a format that has none")
	}
}

func TestOnlyTwoPathsAreServed(t *testing.T) {
	url, stop := serve(t, newWhole(t, 1).Registry)
	for path, want := range map[string]int{
		"/healthz": http.StatusOK, "/metrics": http.StatusOK, "/": http.StatusNotFound, "/debug/pprof/": http.StatusNotFound,
		"/metrics/x": http.StatusNotFound, "/readyz": http.StatusNotFound, "/routes": http.StatusNotFound,
	} {
		if status, body := get(t, url+path, ""); status != want || path == "/healthz" && body != "ok\n" {
			t.Errorf("%s: %d, %.40q", path, status, body)
		}
	}
	answer, err := http.Post(url+"/metrics", "text/plain", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", answer.StatusCode)
	}
	stop()
	if conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://")); err == nil {
		_ = conn.Close()
		t.Error("still listening")
	}
}

// TestPortTaken: it is said once, and tried until the other lets go of it.
func TestPortTaken(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	var said syncBuffer
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		registry := newWhole(t, 1).Registry
		Serve(ctx, Place{Address: other.Addr().String()}, Handler(registry, Pages{}), registry, zerolog.New(&said))
	})
	defer wg.Wait()
	defer cancel()
	deadline := time.Now().Add(20 * time.Second)
	for !strings.Contains(said.String(), "not served yet") {
		if time.Now().After(deadline) {
			t.Fatal("nothing is said")
		}
		time.Sleep(time.Millisecond)
	}
	time.Sleep(2*listenAgain + listenAgain/2) // it is tried some more times, and says nothing
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	if status, _ := get(t, "http://"+other.Addr().String()+"/healthz", ""); status != http.StatusOK {
		t.Errorf("status %d", status)
	}
	if n := strings.Count(said.String(), "not served yet"); n != 1 {
		t.Errorf("said %d times:\n%s", n, said.String())
	}
}

// TestEndWhilePortIsTaken: the runner does not wait for the port.
func TestEndWhilePortIsTaken(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		Serve(ctx, Place{Address: other.Addr().String()}, http.NotFoundHandler(), prometheus.NewRegistry(), zerolog.Nop())
	}()
	cancel()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Error("it has not ended")
	}
}

// TestCloseIsBounded: a reader that does not read holds nobody up.
func TestCloseIsBounded(t *testing.T) {
	w := newWhole(t, 10)
	url, stop := serve(t, w.Registry)
	get(t, url+"/healthz", "")
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write([]byte("GET /metrics HTTP/1.1\r\nHost: x")); err != nil { // and nothing more
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		stop()
	}()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Error("it has not ended")
	}
}

// syncBuffer may be read while it is written.
type syncBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
