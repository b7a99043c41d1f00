package gateway

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// badRequestError is a head that is answered with a status and the end of the connection.
type badRequestError struct {
	status int
	why    string
}

func (e *badRequestError) Error() string { return fmt.Sprintf("bad request: %s", e.why) }

func bad(why string) error { return &badRequestError{status: http.StatusBadRequest, why: why} }

// waitHead waits until a whole head is in the reader's buffer and returns its bytes, up to and with the
// empty line, without consuming them: what follows in the same segment is not part of it. Empty lines
// before the request line are dropped, and not counted, as nginx does.
func waitHead(br *bufio.Reader) ([]byte, error) {
	seen := 0
	for {
		if _, err := br.Peek(seen + 1); err != nil {
			if errors.Is(err, bufio.ErrBufferFull) {
				return nil, tooLarge(br)
			}
			return nil, err
		}
		buffered, _ := br.Peek(br.Buffered())
		if blank := leadingBlank(buffered); blank > 0 {
			_, _ = br.Discard(blank)
			seen = 0
			continue
		}
		if n := headLength(buffered); n > 0 {
			return buffered[:n], nil
		}
		seen = len(buffered)
	}
}

// leadingBlank counts the CR and LF at the start.
func leadingBlank(b []byte) int { return len(b) - len(bytes.TrimLeft(b, "\r\n")) }

// headLength is the length of a head with its empty line; 0 if it is not all there. A line ends with LF,
// a CR before it belongs to the end.
func headLength(b []byte) int {
	for at := 0; ; {
		end := bytes.IndexByte(b[at:], '\n')
		if end < 0 {
			return 0
		}
		if line := b[at : at+end]; len(line) == 0 || len(line) == 1 && line[0] == '\r' {
			return at + end + 1
		}
		at += end + 1
	}
}

// tooLarge answers what APISIX answers: 414 if the request line is the reason, else 400.
func tooLarge(br *bufio.Reader) error {
	buffered, _ := br.Peek(br.Buffered())
	if end := bytes.IndexByte(buffered, '\n'); end < 0 || end > maxHeadLine {
		return &badRequestError{status: http.StatusRequestURITooLong, why: "request line too long"}
	}
	return bad("request header or cookie too large")
}

// parseHead reads the header lines of a whole head, in order and as they were written. What net/http would
// read differently from nginx is refused: folded lines, and names that are no tokens.
func parseHead(head []byte) (headerList, error) {
	lines := strings.Split(string(head), "\n")
	if len(lines[0]) > maxHeadLine {
		return nil, &badRequestError{status: http.StatusRequestURITooLong, why: "request line too long"}
	}
	list := make(headerList, 0, len(lines))
	for _, line := range lines[1:] {
		line = strings.TrimSuffix(line, "\r")
		if line == "" {
			break
		}
		name, value, ok := strings.Cut(line, ":")
		switch {
		case len(line) > maxHeadLine:
			return nil, bad("request header or cookie too large")
		case !ok || !validName(name):
			return nil, bad("malformed header line")
		}
		list = append(list, header{name, strings.Trim(value, " \t")})
	}
	return list, nil
}

// checkRequest refuses what nginx refuses and http.ReadRequest lets pass.
func checkRequest(r *http.Request, headers headerList) error {
	switch {
	case !validMethod(r.Method):
		return bad("method")
	case r.Method == http.MethodConnect:
		return &badRequestError{status: http.StatusMethodNotAllowed, why: "CONNECT"}
	case r.ProtoMajor != 1:
		return &badRequestError{status: http.StatusHTTPVersionNotSupported, why: r.Proto}
	case headers.count("Host") > 1:
		return bad("several Host headers")
	case r.ProtoAtLeast(1, 1) && headers.count("Host") == 0:
		return bad("no Host header")
	case headers.count("Transfer-Encoding") > 0 && headers.count("Content-Length") > 0:
		return bad("Transfer-Encoding and Content-Length")
	case headers.count("Transfer-Encoding") > 0 && r.ContentLength != -1:
		return bad("Transfer-Encoding in an HTTP/1.0 request")
	default:
		return nil
	}
}

// validMethod is nginx's idea of a method: A-Z, - and _.
func validMethod(method string) bool {
	for i := range len(method) {
		if c := method[i]; (c < 'A' || c > 'Z') && c != '-' && c != '_' {
			return false
		}
	}
	return method != ""
}
