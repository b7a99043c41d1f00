package flow

import "bytes"

// Payload is what a direction's first payload bytes show: enum payload in bpf/record.h.
type Payload uint8

// What the first payload can be.
const (
	PayloadNone Payload = iota // nothing seen yet
	PayloadOther
	PayloadHTTP1    // a request line (RFC 9112, 3)
	PayloadHTTP2    // the client preface (RFC 9113, 3.4)
	PayloadTLS      // a handshake record (RFC 8446, 5.1)
	PayloadProxyV1  // the PROXY protocol's text header
	PayloadProxyV2  // and its binary one
	PayloadMethod   // up to 7 capital letters and nothing else: a method that came in parts
	PayloadSwitched // "HTTP/1.1 101": what follows is another protocol (RFC 9110, 15.2.2)
)

// Classify returns what payload bytes begin: at least 16 of them, or all there are. Its twin, for agents that keep no byte,
// is bpf/kind.h.
func Classify(first []byte) Payload {
	switch {
	case len(first) == 0:
		return PayloadNone
	case starts(first, "PRI * HTTP/2.0\r\n"):
		return PayloadHTTP2
	case len(first) >= 3 && first[0] == 0x16 && first[1] == 3 && first[2] <= 4:
		return PayloadTLS
	case starts(first, "PROXY "):
		return PayloadProxyV1
	case starts(first, "\r\n\r\n\x00\r\nQUIT\n"):
		return PayloadProxyV2
	case starts(first, "HTTP/1.1 101"):
		return PayloadSwitched
	case isRequestLine(first):
		return PayloadHTTP1
	case len(first) < 8 && len(bytes.Trim(first, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")) == 0:
		return PayloadMethod
	}
	return PayloadOther
}

func starts(b []byte, prefix string) bool {
	return len(b) >= len(prefix) && string(b[:len(prefix)]) == prefix
}

// isRequestLine accepts what may begin a request line: a method, which is a token (RFC 9110, 9.1), then a space. Servers
// ignore empty lines before it (RFC 9112, 2.2); a method longer than the bytes at hand has no space yet.
func isRequestLine(first []byte) bool {
	line := bytes.TrimLeft(first, "\r\n")
	method, _, spaced := bytes.Cut(line, []byte(" "))
	if len(method) == 0 || !spaced && len(first) < 16 {
		return false
	}
	for _, c := range method {
		if !isTokenChar(c) {
			return false
		}
	}
	return true
}

// isTokenChar follows RFC 9110, 5.6.2.
func isTokenChar(c byte) bool {
	return c > ' ' && c < 0x7f && bytes.IndexByte([]byte(`"(),/:;<=>?@[\]{}`), c) < 0
}
