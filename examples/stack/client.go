package stack

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// callWait bounds one call.
const callWait = 30 * time.Second

// Client is one client connection to the gateway. What goes into a write is the caller's to decide.
type Client struct {
	conn net.Conn
	in   *bufio.Reader
}

// Dial connects from the client's namespace to one of the gateway's addresses.
func (s *Stack) Dial(ctx context.Context, address string) (*Client, error) {
	conn, err := s.Lab.Client.DialContext(ctx, "tcp", net.JoinHostPort(address, fmt.Sprint(Port)))
	if err != nil {
		return nil, err
	}
	return NewClient(conn), nil
}

// NewClient returns a client on a connection, which may be one of TLS.
func NewClient(conn net.Conn) *Client { return &Client{conn: conn, in: bufio.NewReader(conn)} }

// Close closes the connection.
func (c *Client) Close() error { return c.conn.Close() }

// Conn returns the connection, for who speaks another protocol on it.
func (c *Client) Conn() net.Conn { return c.conn }

// Addr returns the client's end of the connection.
func (c *Client) Addr() netip.AddrPort {
	a := c.conn.LocalAddr().(*net.TCPAddr).AddrPort()
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// GatewayAddr returns the gateway's end of the connection.
func (c *Client) GatewayAddr() netip.AddrPort {
	a := c.conn.RemoteAddr().(*net.TCPAddr).AddrPort()
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// Get returns a GET request whose head is longer by some bytes of padding; header lines may follow.
func Get(path string, padding int, lines ...string) []byte {
	return request("GET", path, padding, nil, lines)
}

// Post returns a POST request with a body of a length; its body are the last bytes.
func Post(path string, length int, lines ...string) []byte {
	return request("POST", path, 0, make([]byte, length), append(lines, fmt.Sprintf("Content-Length: %d", length)))
}

func request(method, path string, padding int, body []byte, lines []string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: gateway\r\n", method, path)
	for _, line := range lines {
		b.WriteString(line + "\r\n")
	}
	if padding > 0 {
		fmt.Fprintf(&b, "Padding: %s\r\n", strings.Repeat("x", padding))
	}
	return append([]byte(b.String()+"\r\n"), body...)
}

// Send writes bytes in one write.
func (c *Client) Send(b []byte) error {
	if err := c.conn.SetDeadline(time.Now().Add(callWait)); err != nil {
		return err
	}
	_, err := c.conn.Write(b)
	return err
}

// SendSlowly writes bytes in pieces of a length, with pauses between them.
func (c *Client) SendSlowly(ctx context.Context, b []byte, piece int, pause time.Duration) error {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for len(b) > 0 {
		n := min(piece, len(b))
		if err := c.Send(b[:n]); err != nil {
			return err
		}
		b = b[n:]
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}

// Answer is the gateway's answer to one call.
type Answer struct {
	Status int
	Header http.Header // of the response
	Echo   Echo        // what the upstream got
}

// ErrStatus means that a call was not answered by the upstream.
var ErrStatus = errors.New("call was not answered with 200")

// Receive reads the answer to a request of a method.
func (c *Client) Receive(method string) (Answer, error) {
	if err := c.conn.SetDeadline(time.Now().Add(callWait)); err != nil {
		return Answer{}, err
	}
	res, err := http.ReadResponse(c.in, &http.Request{Method: method})
	if err != nil {
		return Answer{}, fmt.Errorf("read response: %w", err)
	}
	body, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		return Answer{}, fmt.Errorf("read response body: %w", err)
	}
	a := Answer{Status: res.StatusCode, Header: res.Header}
	if res.StatusCode != http.StatusOK {
		return a, fmt.Errorf("%w: %s: %.200s", ErrStatus, res.Status, body)
	}
	if err := json.Unmarshal(body, &a.Echo); err != nil {
		return a, fmt.Errorf("read the upstream's answer: %w", err)
	}
	return a, nil
}

// ReceiveHead reads the head of an answer that another protocol follows, and returns its status.
func (c *Client) ReceiveHead() (status int, err error) {
	if err := c.conn.SetDeadline(time.Now().Add(callWait)); err != nil {
		return 0, err
	}
	res, err := http.ReadResponse(c.in, &http.Request{Method: http.MethodGet})
	if err != nil {
		return 0, fmt.Errorf("read response: %w", err)
	}
	return res.StatusCode, nil
}

// Read implements io.Reader: what follows the head of an answer.
func (c *Client) Read(p []byte) (int, error) { return c.in.Read(p) }

// Do sends a request in one write and reads its answer.
func (c *Client) Do(request []byte) (Answer, error) {
	if err := c.Send(request); err != nil {
		return Answer{}, err
	}
	return c.Receive(strings.SplitN(string(request[:8]), " ", 2)[0])
}

// ReceiveContinue reads the interim answer 100 (RFC 9110, 15.2.1).
func (c *Client) ReceiveContinue() error {
	if err := c.conn.SetDeadline(time.Now().Add(callWait)); err != nil {
		return err
	}
	for i, want := range []string{"HTTP/1.1 100 Continue\r\n", "\r\n"} {
		line, err := c.in.ReadString('\n')
		if err != nil || line != want {
			return fmt.Errorf("%w: line %d of the interim answer: %q, %w", ErrStatus, i+1, line, err)
		}
	}
	return nil
}
