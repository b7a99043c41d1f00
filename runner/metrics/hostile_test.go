package metrics

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// holders are connections that an attacker holds, after some bytes.
func holders(t *testing.T, address string, n int, send string) (conns []net.Conn) {
	t.Helper()
	for range n {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if _, err := io.WriteString(conn, send); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
	}
	return conns
}

// TestHeldConnections: whatever an attacker holds, in whatever state, a scrape on a new connection is answered, well within the times
// after which the server would close the attacker's.
func TestHeldConnections(t *testing.T) {
	const scrapeWithin = 3 * time.Second // idleTime and readTime are longer; the figure before was 8 s and more
	const request = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
	for name, attack := range map[string]func(t *testing.T, address string){
		"nothing sent": func(t *testing.T, address string) {
			t.Helper()
			holders(t, address, 5*maxConnections, "")
		},
		"half a head": func(t *testing.T, address string) {
			t.Helper()
			holders(t, address, 5*maxConnections, "GET /metrics HTTP/1.1\r\nHost: loc")
		},
		"half a body": func(t *testing.T, address string) {
			t.Helper()
			holders(t, address, 5*maxConnections, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\nx")
		},
		"kept alive": func(t *testing.T, address string) {
			t.Helper()
			for _, conn := range holders(t, address, maxConnections, request) {
				answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil || answer.StatusCode != http.StatusOK {
					t.Fatal(answer, err)
				}
			}
			holders(t, address, 4*maxConnections, request)
		},
		"answers not read": func(t *testing.T, address string) {
			t.Helper()
			holders(t, address, maxConnections+20, strings.Repeat("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", 20))
		},
		"ever new ones": func(t *testing.T, address string) {
			t.Helper()
			stop := make(chan struct{})
			var flood sync.WaitGroup
			t.Cleanup(func() {
				close(stop)
				flood.Wait()
			})
			holders(t, address, 2*maxConnections, "")
			flood.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					if conn, err := net.Dial("tcp", address); err == nil {
						_ = conn.Close()
					}
				}
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWhole(t, 10)
			url, _ := serve(t, w.Registry)
			get(t, url+"/healthz", "")
			attack(t, strings.TrimPrefix(url, "http://"))
			client := http.Client{Timeout: scrapeWithin, Transport: &http.Transport{DisableKeepAlives: true}}
			const scrapes = 10
			text, answered := "", 0
			for range scrapes {
				answer, err := client.Get(url + "/metrics")
				if err != nil {
					t.Log(err)
					continue
				}
				body, err := io.ReadAll(answer.Body)
				_ = answer.Body.Close()
				if err != nil || answer.StatusCode != http.StatusOK {
					t.Log(answer.Status, err)
					continue
				}
				text = string(body)
				answered++
			}
			if answered < scrapes && (name != "ever new ones" || answered < scrapes/2) { // these may be faster than a scrape that has just come
				t.Errorf("%d of %d scrapes were answered", answered, scrapes)
			}
			if evicted := "fivetuple_metrics_connections_evicted_total "; !strings.Contains(text, "\n"+evicted) || strings.Contains(text, "\n"+evicted+"0\n") {
				t.Error("no connection was evicted, or it is not counted")
			}
		})
	}
}

// TestIdlestConnectionIsClosed: of a reader that calls again and again and those that do not, the latter.
func TestIdlestConnectionIsClosed(t *testing.T) {
	w := newWhole(t, 10)
	url, _ := serve(t, w.Registry)
	get(t, url+"/healthz", "")
	address := strings.TrimPrefix(url, "http://")
	const request = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
	steady := holders(t, address, 1, "")[0]
	answers := bufio.NewReader(steady)
	for range 3 {
		for _, conn := range holders(t, address, maxConnections-2, request) {
			if _, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := io.WriteString(steady, request); err != nil {
			t.Fatal(err)
		}
		answer, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, answer.Body)
	}
}

// curl runs curl, and returns the status and the body.
func curl(t *testing.T, args ...string) string {
	t.Helper()
	program, err := exec.LookPath("curl")
	if err != nil {
		if os.Getenv("FIVETUPLE_NO_SKIP") == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	out, err := exec.Command(program, append([]string{"-sS", "--noproxy", "*", "--max-time", "20", "-w", "%{http_code}"}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

// TestRebindingByCurl: a page of evil.example, whose name resolves to this listener, is not answered.
func TestRebindingByCurl(t *testing.T) {
	own, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	url, _ := serve(t, newWhole(t, 10).Registry, "Prometheus.example.")
	get(t, url+"/healthz", "")
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(url, "http://"))
	for _, host := range []string{
		"localhost", "LOCALHOST.", "localhost:" + port, "127.0.0.1", "127.0.0.1:" + port, "[::1]", "[::1]:1", "192.0.2.7:80", own, own + ":" + port,
		"prometheus.example", "PROMETHEUS.example.:" + port,
	} {
		if got := curl(t, "-H", "Host: "+host, url+"/healthz"); got != "ok\n200" {
			t.Errorf("%s: %s", host, got)
		}
	}
	for _, host := range []string{
		"evil.example", "evil.example:" + port, "localhost.evil.example", "127.0.0.1.evil.example", "evil.example:127.0.0.1", "xprometheus.example", "0x7f000001",
	} {
		want := fmt.Sprintf("the host %q is not one of this listener's: use its IP address or localhost, or add the name to the setting metrics.hosts\n421", host)
		for _, page := range []string{"/healthz", "/metrics", "/absent"} {
			if got := curl(t, "-H", "Host: "+host, url+page); got != want {
				t.Errorf("%s%s: %s, want %s", host, page, got, want)
			}
		}
	}
	if got := curl(t, "--connect-to", "evil.example:"+port+":127.0.0.1:"+port, "http://evil.example:"+port+"/metrics"); !strings.HasSuffix(got, "\n421") {
		t.Errorf("by its address: %s", got)
	}
	if got := curl(t, "-0", "-H", "Host:", url+"/healthz"); got != "ok\n200" { // HTTP/1.0 without a name
		t.Error(got)
	}
	if _, text := get(t, url+"/metrics", ""); !strings.Contains(text, "\nfivetuple_metrics_requests_misdirected_total 22\n") {
		t.Error("what is refused is not counted")
	}
}

// TestHostsBeyondLoopback: without further names, an address that other hosts reach is called by whatever name they have for it.
func TestHostsBeyondLoopback(t *testing.T) {
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	for _, c := range []struct {
		at      string
		further []string
		want    int
	}{
		{"192.0.2.1", nil, http.StatusOK},
		{"192.0.2.1", []string{"metrics.example"}, http.StatusMisdirectedRequest},
		{"127.0.0.9", nil, http.StatusMisdirectedRequest},
		{"::1", nil, http.StatusMisdirectedRequest},
	} {
		if got := answerAt(newHosts(c.further).check(ok), c.at, "evil.example"); got != c.want {
			t.Errorf("%s, %q: %d, want %d", c.at, c.further, got, c.want)
		}
	}
}

// answerAt returns the status of a request that came to an address.
func answerAt(h http.Handler, address, host string) int {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Host = host
	r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, &net.TCPAddr{IP: net.ParseIP(address)}))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}
