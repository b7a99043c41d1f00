package gateway

import (
	"errors"
	"strings"
)

var errBadURI = errors.New("bad request path")

// pathOf returns the origin form of a request target: of http://host/path only the path. It is false for
// what has no path (OPTIONS *).
func pathOf(target string) (string, bool) {
	if strings.HasPrefix(target, "/") {
		return target, true
	}
	_, rest, ok := strings.Cut(target, "://")
	if !ok {
		return "", false
	}
	at := strings.IndexAny(rest, "/?")
	switch {
	case at < 0:
		return "/", true
	case rest[at] == '?':
		return "/" + rest[at:], true
	default:
		return rest[at:], true
	}
}

// normalizePath returns nginx's $uri of a raw path: percent-decoded, slashes merged, dot segments
// resolved, a fragment cut. A path that climbs above the root, has a NUL or a bad escape is an error.
func normalizePath(raw string) (string, error) {
	raw, _, _ = strings.Cut(raw, "#")
	decoded, ok := percentDecode(raw, false)
	if !ok || strings.IndexByte(decoded, 0) >= 0 || !strings.HasPrefix(decoded, "/") {
		return "", errBadURI
	}
	var kept []string
	segments := strings.Split(decoded[1:], "/")
	for i, segment := range segments {
		last := i == len(segments)-1
		switch segment {
		case "", ".":
		case "..":
			if len(kept) == 0 {
				return "", errBadURI
			}
			kept = kept[:len(kept)-1]
		default:
			kept = append(kept, segment)
			continue
		}
		if last && len(kept) > 0 {
			kept = append(kept, "") // a directory keeps its trailing slash
		}
	}
	return "/" + strings.Join(kept, "/"), nil
}

// percentDecode undoes %XX, and + if asked. It is false when an escape is not hexadecimal; the text is
// then decoded as far as it can be, bad escapes standing for themselves, as ngx.unescape_uri does.
func percentDecode(s string, plusIsSpace bool) (string, bool) {
	var b strings.Builder
	good := true
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+' && plusIsSpace:
			b.WriteByte(' ')
		case s[i] != '%':
			b.WriteByte(s[i])
		case i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			b.WriteByte(unhex(s[i+1])<<4 | unhex(s[i+2]))
			i += 2
		default:
			good = false
			b.WriteByte('%')
		}
	}
	return b.String(), good
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

// escapePath escapes a path for the request line: nginx's NGX_ESCAPE_URI set.
func escapePath(path string) string {
	return percentEncode(path, func(c byte) bool {
		return c <= ' ' || c >= 0x7f || c == '#' || c == '%' || c == '?'
	})
}

// escapeArg escapes a name or value of an argument: all but the unreserved characters of RFC 3986.
func escapeArg(s string) string {
	return percentEncode(s, func(c byte) bool {
		unreserved := c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || strings.IndexByte("-._~", c) >= 0
		return !unreserved
	})
}

func percentEncode(s string, escape func(byte) bool) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		if escape(s[i]) {
			b.Write([]byte{'%', digits[s[i]>>4], digits[s[i]&15]})
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
