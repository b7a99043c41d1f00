// Package thirdparties tests that the tuple of a call, which the gateway's snippet puts into a request header for the runner,
// reaches nobody but the runner: no upstream, and none of the other servers that a gateway sends request headers to. The gateways are
// the stand-in, and nginx with the modules that APISIX is made of.
package thirdparties

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"fivetuple/correlator"
)

// testTimeout bounds every wait; none comes near it.
const testTimeout = 20 * time.Second

// parties are the servers around a gateway.
type parties struct {
	upstream, mirror, auth, provider, function, logger, grpc *party
}

func startParties(t *testing.T) *parties {
	t.Helper()
	return &parties{
		upstream: startParty(t, "upstream"), mirror: startParty(t, "mirror"), auth: startParty(t, "auth"), provider: startParty(t, "model provider"),
		function: startParty(t, "function"), logger: startParty(t, "logger"), grpc: startParty(t, "gRPC upstream"),
	}
}

func (p *parties) all() []*party {
	return []*party{p.upstream, p.mirror, p.auth, p.provider, p.function, p.logger, p.grpc}
}

// party is a server that keeps what it got.
type party struct {
	name, address string

	mu   sync.Mutex
	got  []string // requests as text
	more chan struct{}
}

func startParty(t *testing.T, name string) *party {
	t.Helper()
	p := &party{name: name, more: make(chan struct{}, 1)}
	server := httptest.NewUnstartedServer(http.HandlerFunc(p.serve))
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true) // for grpc_pass
	server.Start()
	t.Cleanup(server.Close)
	p.address = server.Listener.Addr().String()
	return p
}

func (p *party) serve(w http.ResponseWriter, r *http.Request) {
	var text bytes.Buffer
	fmt.Fprintf(&text, "%s %s\n", r.Method, r.RequestURI)
	_ = r.Header.Write(&text)
	_, _ = io.Copy(&text, r.Body)
	p.mu.Lock()
	p.got = append(p.got, text.String())
	p.mu.Unlock()
	select {
	case p.more <- struct{}{}:
	default:
	}
	w.Header().Set("X-Origin", p.name)
	_, _ = io.WriteString(w, `{"from":"`+p.name+`"}`)
}

// next returns the request that came since the last call of next or forget; it waits for one.
func (p *party) next(t *testing.T) string {
	t.Helper()
	timeout := time.NewTimer(testTimeout)
	defer timeout.Stop()
	for {
		p.mu.Lock()
		got := p.got
		p.got = nil
		p.mu.Unlock()
		switch {
		case len(got) == 1:
			return got[0]
		case len(got) > 1:
			t.Fatalf("%d requests reached the %s, want 1:\n%s", len(got), p.name, strings.Join(got, "\n"))
		}
		select {
		case <-p.more:
		case <-timeout.C:
			t.Fatalf("nothing reached the %s", p.name)
		}
	}
}

// tupleText finds a tuple as the shipped snippet writes it, also where its header has another name.
var tupleText = regexp.MustCompile(`127\.0\.0\.1 \d+ 127\.0\.0\.1 \d+ \d+ \d+ \d+ [0-9a-f]{32}`)

// hasTuple reports whether a request's text holds the tuple or the name of its header.
func hasTuple(request string) bool {
	name := strings.ToLower(correlator.TupleHeaderName)
	return strings.Contains(strings.ReplaceAll(strings.ToLower(request), "_", "-"), name) || tupleText.MatchString(request)
}

// ownLines is how many header lines a call has without junk: Host, Content-Type, Content-Length.
const ownLines = 3

// lastSeen is the number of junk lines up to which Lua sees the tuple: nginx appends it, and Lua reads 100 lines.
const lastSeen = 100 - ownLines - 1

// junkCounts returns the numbers of junk lines that calls are made with.
func junkCounts() []int {
	return []int{0, 1, 10, 50, 90, 94, 95, lastSeen, lastSeen + 1, 98, 99, 100, 101, 102, 110, 125, 150}
}

// junkWhere returns those of junkCounts that satisfy a condition.
func junkWhere(holds func(int) bool) []int {
	return slices.DeleteFunc(junkCounts(), func(n int) bool { return !holds(n) })
}

// route is a kind of route, and who gets a request when it is called.
type route struct {
	name   string
	status int
	reach  []*party
}

// call calls a route with junk header lines and returns what each party got, in the order of the route.
func (r route) call(t *testing.T, address string, junk int) (requests []string, answer *http.Response) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, testTimeout)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(testTimeout))
	const body = `{"model":"m","messages":[{"role":"user","content":"hello"}]}`
	var head strings.Builder
	fmt.Fprintf(&head, "POST /%s/call HTTP/1.1\r\nHost: gateway.example\r\n", r.name)
	fmt.Fprintf(&head, "Content-Type: application/json\r\nContent-Length: %d\r\n", len(body))
	for i := range junk {
		fmt.Fprintf(&head, "X-Junk-%d: j\r\n", i)
	}
	if _, err := io.WriteString(conn, head.String()+"\r\n"+body); err != nil {
		t.Fatal(err)
	}
	answer, err = http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != r.status {
		t.Fatalf("/%s with %d junk lines: status %d, want %d: %s", r.name, junk, answer.StatusCode, r.status, text)
	}
	for _, p := range r.reach {
		requests = append(requests, p.next(t))
	}
	return requests, answer
}

// wantNoTuple calls a route with each number of junk lines, and wants that no party gets the tuple.
func (r route) wantNoTuple(t *testing.T, address string, p *parties) {
	t.Helper()
	for _, junk := range junkCounts() {
		requests, _ := r.call(t, address, junk)
		for i, request := range requests {
			if hasTuple(request) {
				t.Errorf("/%s with %d junk lines: the tuple reached the %s:\n%s", r.name, junk, r.reach[i].name, request)
			}
		}
		r.wantNobodyElse(t, p)
	}
}

// wantNobodyElse wants that no other party got a request.
func (r route) wantNobodyElse(t *testing.T, p *parties) {
	t.Helper()
	for _, each := range p.all() {
		each.mu.Lock()
		if n := len(each.got); n > 0 && !slices.Contains(r.reach, each) {
			t.Errorf("/%s: %d requests reached the %s", r.name, n, each.name)
		}
		each.mu.Unlock()
	}
}

// leaks calls a route with each number of junk lines, and returns those with which the tuple reaches a party.
func (r route) leaks(t *testing.T, address string, to *party) (junk []int) {
	t.Helper()
	for _, n := range junkCounts() {
		requests, _ := r.call(t, address, n)
		if hasTuple(requests[slices.Index(r.reach, to)]) {
			junk = append(junk, n)
		}
	}
	return junk
}

// skip skips a test, or fails it where FIVETUPLE_NO_SKIP=1 says that nothing may be skipped.
func skip(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("FIVETUPLE_NO_SKIP") == "1" {
		t.Fatal("a skip is a failure here: ", why)
	}
	t.Skip(why)
}
