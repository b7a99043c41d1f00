package gateway

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// newHTTP2 makes the net/http server that speaks HTTP/2. It accepts from a queue: whether a connection is
// HTTP/2 is known only after the TLS handshake or its first bytes.
func newHTTP2(g *Gateway) (*http.Server, *connQueue) {
	queue := &connQueue{conns: make(chan net.Conn), done: make(chan struct{})}
	var protocols http.Protocols
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{
		Handler:           http.HandlerFunc(g.serveStream),
		Protocols:         &protocols,
		ReadHeaderTimeout: clientHeaderTimeout,
		IdleTimeout:       keepaliveTimeout,
		ErrorLog:          log.New(g.log, "", 0), // else net/http writes to standard error
		BaseContext:       func(net.Listener) context.Context { return g.calls },
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connectionKey{}, clientConnection(c))
		},
	}
	go func() { _ = server.Serve(queue) }() // ends with Shutdown or Close, which closes the queue
	return server, queue
}

type connectionKey struct{}

// clientConnection finds our connection under what net/http was given.
func clientConnection(c net.Conn) *connection {
	if secure, ok := c.(*tls.Conn); ok {
		c = secure.NetConn()
	}
	switch c := c.(type) {
	case *replayConn:
		return c.connection
	case *connection:
		return c
	default:
		return nil
	}
}

// serveHTTP2 hands a connection over and waits until it is closed.
func (g *Gateway) serveHTTP2(conn *connection, stream net.Conn) {
	conn.begin() // net/http decides when it is idle
	select {
	case g.h2conns.conns <- stream:
		<-conn.closed
	case <-g.h2conns.done:
	}
}

// serveStream makes a request of an HTTP/2 stream.
func (g *Gateway) serveStream(w http.ResponseWriter, r *http.Request) {
	conn, ok := r.Context().Value(connectionKey{}).(*connection)
	if !ok || conn == nil {
		http.Error(w, "not a connection of the stand-in", http.StatusInternalServerError)
		return
	}
	body := &streamBody{from: r.Body}
	req := &request{
		conn: conn, number: conn.requests.Add(1), method: r.Method, target: r.RequestURI, proto: r.Proto,
		headers: streamHeaders(r), bodyLength: body.n.Load, contentLength: r.ContentLength, start: g.now(),
	}
	req.headLength = plainHeadLength(req)
	if r.ContentLength != 0 {
		req.body = body
	}
	if err := g.handle(r.Context(), req, streamAnswer{w, r.Method == http.MethodHead}); err != nil {
		panic(http.ErrAbortHandler) // resets the stream: the client must not take the answer for whole
	}
}

// streamHeaders lists the headers by name, for net/http has lost their order; names in lower case, as
// HTTP/2 has them.
func streamHeaders(r *http.Request) headerList {
	list := headerList{{"host", r.Host}}
	names := make([]string, 0, len(r.Header))
	for name := range r.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range r.Header[name] {
			list = append(list, header{strings.ToLower(name), value})
		}
	}
	if length := r.Header.Get("Content-Length"); length == "" && r.ContentLength > 0 {
		list = append(list, header{"content-length", formatLength(r.ContentLength)})
	}
	return list
}

func plainHeadLength(r *request) int64 {
	n := len(r.method) + len(r.target) + len(" ") + len(" HTTP/2.0\r\n") + len("\r\n")
	for _, h := range r.headers {
		n += len(h.name) + len(": ") + len(h.value) + len("\r\n")
	}
	return int64(n)
}

// streamBody counts what is read.
type streamBody struct {
	from io.Reader
	n    atomic.Int64
}

// Read implements io.Reader.
func (b *streamBody) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	b.n.Add(int64(n))
	if err != nil && !errors.Is(err, io.EOF) {
		err = errors.Join(errClientBody, err)
	}
	return n, err
}

// streamAnswer answers an HTTP/2 stream.
type streamAnswer struct {
	w    http.ResponseWriter
	head bool
}

// answer implements answerer.
func (a streamAnswer) answer(status int, headers headerList, body io.Reader, length int64) error {
	for _, h := range headers {
		if name := http.CanonicalHeaderKey(h.name); name != "Content-Length" || a.head {
			a.w.Header()[name] = append(a.w.Header()[name], h.value)
		}
	}
	if length >= 0 && !a.head {
		a.w.Header().Set("Content-Length", formatLength(length))
	}
	a.w.WriteHeader(status)
	if a.head || body == nil {
		return nil
	}
	return a.copyBody(body)
}

func (a streamAnswer) copyBody(body io.Reader) error {
	control := http.NewResponseController(a.w)
	piece := make([]byte, 32<<10)
	for {
		n, err := body.Read(piece)
		if n > 0 {
			if deadlineErr := control.SetWriteDeadline(after(clientSendTimeout)); deadlineErr != nil {
				return deadlineErr
			}
			if _, writeErr := a.w.Write(piece[:n]); writeErr != nil {
				return writeErr
			}
			if flushErr := control.Flush(); flushErr != nil {
				return flushErr
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// connQueue is a listener of connections that were accepted elsewhere.
type connQueue struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

// Accept implements net.Listener.
func (q *connQueue) Accept() (net.Conn, error) {
	select {
	case conn := <-q.conns:
		return conn, nil
	case <-q.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (q *connQueue) Close() error {
	q.once.Do(func() { close(q.done) })
	return nil
}

// Addr implements net.Listener.
func (q *connQueue) Addr() net.Addr { return &net.TCPAddr{} }

// replayConn is a connection of which the first bytes have been read into a buffer.
type replayConn struct {
	net.Conn
	from       *bufio.Reader
	connection *connection
}

// Read implements net.Conn.
func (c *replayConn) Read(p []byte) (int, error) { return c.from.Read(p) }
