package stack_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"

	"fivetuple/examples/lab"
	"fivetuple/examples/stack"
)

// traffic is what the clients did, and what the records must say of it. A file traffic_*_test.go has one kind each.
type traffic struct {
	ctx    context.Context
	t      *testing.T
	s      *stack.Stack
	runner *callRunner

	mu    sync.Mutex
	talks []*talk
}

// talk is a client's connection.
type talk struct {
	*stack.Client
	traffic *traffic
	kind    string
	key     lab.FlowKey
	raw     *countingConn // below TLS
	rules   rules
	calls   []*sent // in the order in which they were sent: the n-th is the gateway's request n, except over HTTP/2
}

// rules are what holds for all calls of a connection.
type rules struct {
	tls     bool // exchange 1 is the handshake's, and no call's
	http2   bool // all calls have the connection's figures
	midway  bool // of HTTP/2: a runner came later, so that some packets are in no record
	mayCut  bool // the end of a call may not be seen; then its record says so and has the first of its packets
	silence bool // packets may come after the call was taken to have ended
}

// sent is a call as the client made it.
type sent struct {
	trace [16]byte // of its header traceparent: what tells its record
	first int64    // where it begins in what the client sent, bytes
	// want is what its record must say, as describe has it; "" if there must be none: it met no plugin.
	want string
	lost bool // it met a plugin, and its record may be lost, with the runner that was killed
}

// open makes a connection of a kind and closes it when USE is done.
func (tr *traffic) open(kind, address string, use func(*talk)) {
	if c := tr.dial(kind, address, rules{}); c != nil {
		defer c.Close()
		use(c)
	}
}

// dial makes a connection, which the caller closes; nil if it fails, which is reported.
func (tr *traffic) dial(kind, address string, r rules) *talk {
	port := stack.Port
	if r.tls {
		port = stack.TLSPort
	}
	conn, err := tr.s.Lab.Client.DialContext(tr.ctx, "tcp", net.JoinHostPort(address, fmt.Sprint(port)))
	if err != nil {
		tr.t.Errorf("%s: %v", kind, err)
		return nil
	}
	return tr.talk(kind, conn, r)
}

// talk notes a connection that there is.
func (tr *traffic) talk(kind string, conn net.Conn, r rules) *talk {
	raw := &countingConn{Conn: conn}
	c := &talk{Client: stack.NewClient(raw), traffic: tr, kind: kind, raw: raw, rules: r}
	c.key = lab.FlowKey{Local: addrPort(conn.RemoteAddr()), Remote: addrPort(conn.LocalAddr())}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.talks = append(tr.talks, c)
	return c
}

// rounds has each of some connections make its n-th call, and something happen between the rounds, when no call is under way.
func (tr *traffic) rounds(talks []*talk, calls int, call func(c *talk, n int), between func()) {
	for n := range calls {
		if n > 0 {
			between()
		}
		times(len(talks), func(i int) {
			if talks[i] != nil {
				call(talks[i], n)
			}
		})
	}
	for _, c := range talks {
		if c != nil {
			_ = c.Close()
		}
	}
}

func addrPort(a net.Addr) netip.AddrPort {
	at := a.(*net.TCPAddr).AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}

func (c *talk) fail(err error) {
	c.traffic.t.Errorf("%s, %v, call %d: %v", c.kind, c.key.Remote, len(c.calls), err)
}

// failed reports an error, and says whether there was one.
func (c *talk) failed(err error) bool {
	if err != nil {
		c.fail(err)
	}
	return err != nil
}

// traced returns the header line by which the record of a call is told, and notes the call: it begins so many bytes behind
// what the client has sent.
func (c *talk) traced(want string, ahead int) (line string) {
	call := &sent{first: c.raw.written.Load() + int64(ahead), want: want}
	_, _ = rand.Read(call.trace[:]) // never fails
	c.calls = append(c.calls, call)
	return "traceparent: 00-" + hex.EncodeToString(call.trace[:]) + "-0123456789abcdef-01"
}

// get makes a call without a body and reads its answer; false if it failed, which is reported.
func (c *talk) get(want, path string, padding int) bool {
	_, err := c.Do(stack.Get(path, padding, c.traced(want, 0)))
	return !c.failed(err)
}

// post is get with a body.
func (c *talk) post(want, path string, length int) bool {
	_, err := c.Do(stack.Post(path, length, c.traced(want, 0)))
	return !c.failed(err)
}

// receive reads the answer to a call that was sent.
func (c *talk) receive(method string) bool {
	_, err := c.Receive(method)
	return !c.failed(err)
}

// countingConn counts what is sent.
type countingConn struct {
	net.Conn
	written atomic.Int64
}

// Write implements io.Writer.
func (c *countingConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.written.Add(int64(n))
	return n, err
}

// times runs connections of a kind at once.
func times(n int, do func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { do(i) })
	}
	wg.Wait()
}

// either returns one of the gateway's addresses, so that both families are used.
func either(i int) string { return []string{lab.GatewayFrontIPv4, lab.GatewayFrontIPv6}[i%2] }
