package gateway

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// http1Writer writes the answers of an HTTP/1.x connection.
type http1Writer struct {
	conn net.Conn
	from io.Reader // what the client sends
	keep bool      // the connection lives on after this answer

	head  bool // answer to HEAD: no body
	minor int  // of the client's HTTP version
	body  *http1Body

	mu      sync.Mutex
	started bool // the final answer has begun: no 100 Continue any more
}

var errShortBody = errors.New("body is shorter than declared")

func newHTTP1Writer(conn net.Conn, from io.Reader) *http1Writer {
	return &http1Writer{conn: conn, from: from}
}

// begin prepares for the answer to r.
func (w *http1Writer) begin(r *http.Request, keep bool, body *http1Body) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.keep, w.head, w.minor, w.body, w.started = keep, r.Method == http.MethodHead, r.ProtoMinor, body, false
}

// sendContinue asks the client for its body. After the answer has begun it does nothing.
func (w *http1Writer) sendContinue() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.started {
		return nil
	}
	_, err := w.Write([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
	return err
}

// Write gives each write its time-out.
func (w *http1Writer) Write(p []byte) (int, error) {
	if err := w.conn.SetWriteDeadline(after(clientSendTimeout)); err != nil {
		return 0, err
	}
	return w.conn.Write(p)
}

// answer implements answerer.
func (w *http1Writer) answer(status int, headers headerList, body io.Reader, length int64) error {
	if w.body != nil && w.body.waitsForContinue() {
		w.keep = false
	}
	w.mu.Lock()
	w.started = true
	w.mu.Unlock()
	framing := w.framing(status, length)
	out := bufio.NewWriterSize(w, 4<<10)
	w.writeHead(out, status, headers, framing, length)
	if err := out.Flush(); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	return w.writeBody(out, body, framing, length)
}

// switchTo implements switcher. The connection ends with the other protocol.
func (w *http1Writer) switchTo(headers headerList) (io.ReadWriter, error) {
	w.mu.Lock()
	w.keep, w.started = false, true
	w.mu.Unlock()
	out := bufio.NewWriter(w)
	_, _ = fmt.Fprintf(out, "HTTP/1.1 %d %s\r\n", http.StatusSwitchingProtocols, http.StatusText(http.StatusSwitchingProtocols))
	for _, h := range headers {
		writeLine(out, h)
	}
	writeLine(out, header{"Connection", "upgrade"})
	_, _ = out.WriteString("\r\n")
	if err := out.Flush(); err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	if err := w.conn.SetReadDeadline(time.Time{}); err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	return struct {
		io.Reader
		io.Writer
	}{w.from, w}, nil
}

type framing int

const (
	frameNone   framing = iota // no body at all
	frameLength                // Content-Length
	frameChunks
	frameClose // ends with the connection: HTTP/1.0
)

func (w *http1Writer) framing(status int, length int64) framing {
	switch {
	case w.head || status == http.StatusNoContent || status == http.StatusNotModified:
		return frameNone
	case length >= 0:
		return frameLength
	case w.minor == 0:
		w.keep = false
		return frameClose
	default:
		return frameChunks
	}
}

// writeHead writes the message's own first headers, then the framing, then the rest. Errors stay in out.
func (w *http1Writer) writeHead(out *bufio.Writer, status int, headers headerList, f framing, length int64) {
	_, _ = fmt.Fprintf(out, "HTTP/1.1 %d %s\r\n", status, http.StatusText(status))
	for _, h := range headers {
		if http.CanonicalHeaderKey(h.name) != "Content-Length" {
			writeLine(out, h)
		}
	}
	switch {
	case f == frameLength:
		writeLine(out, header{"Content-Length", formatLength(length)})
	case f == frameChunks:
		writeLine(out, header{"Transfer-Encoding", "chunked"})
	case f == frameNone && w.head && status != http.StatusNoContent:
		if declared, ok := headers.get("Content-Length"); ok {
			writeLine(out, header{"Content-Length", declared})
		} else if length >= 0 {
			writeLine(out, header{"Content-Length", formatLength(length)})
		}
	}
	connection := "close"
	if w.keep {
		connection = "keep-alive"
	}
	writeLine(out, header{"Connection", connection})
	_, _ = out.WriteString("\r\n")
}

// writeLine keeps a plugin's or an upstream's line break from ending the line.
func writeLine(out *bufio.Writer, h header) {
	value := strings.NewReplacer("\r", " ", "\n", " ", "\x00", " ").Replace(h.value)
	_, _ = out.WriteString(h.name + ": " + value + "\r\n")
}

// writeBody passes the body on piece by piece, as it comes.
func (w *http1Writer) writeBody(out *bufio.Writer, body io.Reader, f framing, length int64) error {
	if f == frameNone || body == nil {
		return nil
	}
	var sent int64
	piece := make([]byte, 32<<10)
	for {
		n, err := body.Read(piece)
		if n > 0 {
			sent += int64(n)
			if writeErr := writePiece(out, piece[:n], f); writeErr != nil {
				return fmt.Errorf("answer: %w", writeErr)
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("answer: %w", err)
		}
	}
	switch {
	case f == frameLength && sent != length:
		return fmt.Errorf("answer: %w: %d of %d bytes", errShortBody, sent, length)
	case f == frameChunks:
		if _, err := out.WriteString("0\r\n\r\n"); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	return nil
}

func writePiece(out *bufio.Writer, piece []byte, f framing) error {
	if f == frameChunks {
		if _, err := fmt.Fprintf(out, "%x\r\n", len(piece)); err != nil {
			return err
		}
	}
	if _, err := out.Write(piece); err != nil {
		return err
	}
	if f == frameChunks {
		if _, err := out.WriteString("\r\n"); err != nil {
			return err
		}
	}
	return out.Flush()
}
