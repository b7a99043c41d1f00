package gateway

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// http1Body is the body of an HTTP/1.x request. The transport reads it in a goroutine of its own and may
// still do so when the answer is already there, so every read is under a lock.
type http1Body struct {
	conn *http1Conn
	from io.Reader
	raw  atomic.Int64 // bytes read, with the chunks' framing
	// expect: the client waits for 100 Continue. It is outside the lock, which a read may hold for long.
	expect atomic.Bool

	mu    sync.Mutex
	over  bool // the exchange is over: nobody may read any more
	eof   bool
	start int64 // where the body starts in the connection's bytes
}

var errExchangeOver = errors.New("exchange is over")

func newHTTP1Body(c *http1Conn, r *http.Request, headers headerList) *http1Body {
	b := &http1Body{conn: c, from: r.Body, eof: r.Body == http.NoBody || r.ContentLength == 0}
	b.start = b.position()
	if expect, ok := headers.get("Expect"); ok && r.ProtoAtLeast(1, 1) && !b.eof {
		b.expect.Store(strings.EqualFold(expect, "100-continue"))
	}
	return b
}

// reader is nil for a request without a body.
func (b *http1Body) reader() io.Reader {
	if b.eof {
		return nil
	}
	return b
}

func (b *http1Body) length() int64 { return b.raw.Load() }

// position is how many bytes of the connection have been consumed.
func (b *http1Body) position() int64 { return b.conn.counted.n - int64(b.conn.br.Buffered()) }

// Read asks for the body first, if the client waits to be asked. Its errors are errClientBody.
func (b *http1Body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over {
		return 0, fmt.Errorf("%w: %w", errClientBody, errExchangeOver)
	}
	if b.expect.Swap(false) {
		if err := b.conn.out.sendContinue(); err != nil {
			return 0, fmt.Errorf("%w: %w", errClientBody, err)
		}
	}
	if err := b.conn.stream.SetReadDeadline(after(clientBodyTimeout)); err != nil {
		return 0, fmt.Errorf("%w: %w", errClientBody, err)
	}
	return b.read(p)
}

func (b *http1Body) read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	b.raw.Store(b.position() - b.start)
	switch {
	case errors.Is(err, io.EOF):
		b.eof = true
		return n, io.EOF
	case err != nil:
		return n, fmt.Errorf("%w: %w", errClientBody, err)
	default:
		return n, nil
	}
}

// waitsForContinue says whether the client still holds the body back. Then nobody can tell whether it will
// send it, and the connection has to end.
func (b *http1Body) waitsForContinue() bool { return b.expect.Load() }

// finish reads to the end what nobody wanted, as nginx does to keep a connection; false if the end did not
// come within limit.
func (b *http1Body) finish(limit time.Duration) bool {
	// Also bounds a read that is under way in the transport and holds the lock.
	if err := b.conn.stream.SetReadDeadline(after(limit)); err != nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.over = true
	rest := make([]byte, 16<<10)
	for !b.eof {
		if _, err := b.read(rest); err != nil && !b.eof {
			return false
		}
	}
	return true
}
