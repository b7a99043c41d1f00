package gateway

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
)

// http1Conn is a client connection that speaks HTTP/1.x, inside TLS or not. One goroutine serves it; only
// a request's body may be read by another, the transport's.
type http1Conn struct {
	gateway *Gateway
	conn    *connection
	stream  net.Conn // conn, or the TLS in it
	counted *countingReader
	br      *bufio.Reader
	out     *http1Writer
}

// countingReader counts the bytes it delivered.
type countingReader struct {
	from io.Reader
	n    int64
}

// Read implements io.Reader.
func (r *countingReader) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	r.n += int64(n)
	return n, err
}

// prefaceHead is the part of HTTP/2's connection preface (RFC 9113, section 3.4) that looks like a head.
const prefaceHead = "PRI * HTTP/2.0\r\n\r\n"

func (g *Gateway) serveHTTP1(conn *connection, stream net.Conn) {
	counted := &countingReader{from: stream}
	br := bufio.NewReaderSize(counted, maxHeadBytes)
	c := &http1Conn{gateway: g, conn: conn, stream: stream, counted: counted, br: br, out: newHTTP1Writer(stream, br)}
	defer func() { _ = stream.Close() }()
	for c.serveRequest() {
	}
}

// serveRequest serves the next request; false when the connection ends.
func (c *http1Conn) serveRequest() bool {
	head, err := c.nextHead()
	if err != nil {
		c.refuse(err)
		return false
	}
	if string(head) == prefaceHead && c.conn.requests.Load() == 0 && c.conn.tlsVersion == "" {
		c.conn.http2 = "h2c"
		c.gateway.serveHTTP2(c.conn, &replayConn{Conn: c.stream, from: c.br, connection: c.conn})
		return false
	}
	if !c.conn.begin() {
		return false
	}
	keep := c.exchange(head)
	return c.conn.end() && keep
}

// nextHead waits for a head: for its first byte as long as a connection may idle, for the rest of it as
// long as nginx waits for a header.
func (c *http1Conn) nextHead() ([]byte, error) {
	wait := keepaliveTimeout
	if c.conn.requests.Load() == 0 {
		wait = clientHeaderTimeout
	}
	if err := c.stream.SetReadDeadline(after(wait)); err != nil {
		return nil, err
	}
	if _, err := c.br.Peek(1); err != nil {
		return nil, errNoRequest
	}
	if err := c.stream.SetReadDeadline(after(clientHeaderTimeout)); err != nil {
		return nil, err
	}
	return waitHead(c.br)
}

// errNoRequest ends a connection that said nothing.
var errNoRequest = errors.New("no request")

// exchange reads one request and answers it; false when the connection has to end after it.
func (c *http1Conn) exchange(head []byte) bool {
	headLength := len(head)
	number := c.conn.requests.Add(1)
	headers, err := parseHead(head)
	if err != nil {
		c.refuse(err)
		return false
	}
	buffered := c.br.Buffered()
	parsed, err := http.ReadRequest(c.br)
	if err == nil {
		err = checkRequest(parsed, headers)
	} else {
		err = readError(err)
	}
	if err == nil && buffered-c.br.Buffered() != headLength {
		err = bad("head not understood") // net/http saw another end of it than we did
	}
	if err != nil {
		c.refuse(err)
		return false
	}
	body := newHTTP1Body(c, parsed, headers)
	c.out.begin(parsed, c.keepAlive(parsed, headers, number), body)
	r := &request{
		conn: c.conn, number: number, method: parsed.Method, target: parsed.RequestURI, proto: parsed.Proto,
		headers: headers, headLength: int64(headLength), bodyLength: body.length, body: body.reader(),
		contentLength: parsed.ContentLength, start: c.gateway.now(),
	}
	if err := c.gateway.handle(c.gateway.calls, r, c.out); err != nil {
		return false
	}
	if c.out.keep {
		return body.finish(lingeringTime)
	}
	c.halfClose()
	body.finish(lingeringRefused)
	return false
}

// readError says what http.ReadRequest did not like; an unknown transfer coding is 501 (RFC 9112, 6.1).
func readError(err error) error {
	if strings.Contains(err.Error(), "unsupported transfer encoding") {
		return &badRequestError{status: http.StatusNotImplemented, why: err.Error()}
	}
	return bad(err.Error())
}

// keepAlive says whether the connection may live on after this request.
func (c *http1Conn) keepAlive(r *http.Request, headers headerList, number uint64) bool {
	if number >= maxRequestsPerConn || c.conn.isClosing() {
		return false
	}
	if connection, ok := headers.get("Connection"); ok && !r.ProtoAtLeast(1, 1) {
		return strings.Contains(strings.ToLower(connection), "keep-alive")
	}
	return r.ProtoAtLeast(1, 1) && !r.Close
}

// refuse answers a head that could not be read, if it deserves an answer. No route, no plugin, no log
// record: it is not a call.
func (c *http1Conn) refuse(err error) {
	var refused *badRequestError
	if !errors.As(err, &refused) {
		return
	}
	page := errorPage(refused.status)
	c.out.begin(&http.Request{Method: http.MethodGet, ProtoMajor: 1, ProtoMinor: 1}, false, nil)
	headers := headerList{
		{"Server", serverName},
		{"Date", httpDate(c.gateway.now())},
		{"Content-Type", "text/html; charset=utf-8"},
	}
	_ = c.out.answer(refused.status, headers, strings.NewReader(string(page)), int64(len(page)))
	c.linger()
}

// linger reads for a moment what the client still sends, so that its unread bytes do not make the kernel
// reset the connection before the client has read the answer.
func (c *http1Conn) linger() {
	c.halfClose()
	if err := c.stream.SetReadDeadline(after(lingeringRefused)); err == nil {
		_, _ = io.Copy(io.Discard, io.LimitReader(c.br, lingeringBytes))
	}
}

// halfClose tells the client that no more answers follow.
func (c *http1Conn) halfClose() {
	var half interface{ CloseWrite() error }
	var ok bool
	if c.conn.tlsVersion == "" {
		half, ok = c.conn.raw.(interface{ CloseWrite() error })
	} else {
		half, ok = c.stream.(interface{ CloseWrite() error })
	}
	if ok {
		_ = half.CloseWrite()
	}
}
