package plugins

import "strconv"

// structured writes Structured Field values (RFC 9651, 4.1) into one buffer, without an allocation for each. What can be
// written are tokens and strings that this package makes, integers in range, and true parameters; tests hold every value
// against a library's reading.
type structured struct {
	buf []byte
}

// maxInteger is the largest Integer (RFC 9651, 3.3.1).
const maxInteger = 999_999_999_999_999

func (s *structured) reset() { s.buf = s.buf[:0] }

// token writes a bare item that is a token.
func (s *structured) token(text string) { s.buf = append(s.buf, text...) }

// integer writes a bare item that is an integer; one too large is the largest.
func (s *structured) integer(n uint64) { s.buf = strconv.AppendUint(s.buf, min(n, maxInteger), 10) }

// text writes a bare item that is a string, of printable characters without quote and backslash.
func (s *structured) text(text string) {
	s.buf = append(s.buf, '"')
	s.buf = append(s.buf, text...)
	s.buf = append(s.buf, '"')
}

// member begins a dictionary's member.
func (s *structured) member(key string) {
	if len(s.buf) > 0 {
		s.buf = append(s.buf, ", "...)
	}
	s.buf = append(s.buf, key...)
	s.buf = append(s.buf, '=')
}

func (s *structured) key(key string) {
	s.buf = append(s.buf, ';')
	s.buf = append(s.buf, key...)
}

// flag writes a parameter that is true, or none.
func (s *structured) flag(key string, set bool) {
	if set {
		s.key(key)
	}
}

// number writes a parameter that is an integer.
func (s *structured) number(key string, n uint64) {
	s.key(key)
	s.buf = append(s.buf, '=')
	s.integer(n)
}

// word writes a parameter that is a token, or none.
func (s *structured) word(key, text string) {
	if text != "" {
		s.key(key)
		s.buf = append(s.buf, '=')
		s.token(text)
	}
}
